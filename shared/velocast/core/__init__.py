"""Layer 1, core: settings, dates and times, table schemas, messages between components, telemetry, errors."""
