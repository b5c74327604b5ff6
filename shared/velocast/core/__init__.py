"""Layer 1, core: settings, dates and times, table schemas, the messages between parts, telemetry, errors."""
