"""Layer 1, the ground: settings, time, schemas, messages, telemetry, errors."""
