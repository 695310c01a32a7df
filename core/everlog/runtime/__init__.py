"""What every service runs on: settings, logs, metrics, deadlines."""
