"""Replay: any session and any stretch of the log, from the archive and then Kafka."""
