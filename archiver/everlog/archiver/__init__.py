"""The archiver: compacts the log to immutable segments, proves them against the log, trims, and asks for eviction."""
