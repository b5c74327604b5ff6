"""Cloud Logging: entries read from log files."""
