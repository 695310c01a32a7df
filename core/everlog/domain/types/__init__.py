"""The types of events, a module per entity: data, checks and fold of each side by side."""
