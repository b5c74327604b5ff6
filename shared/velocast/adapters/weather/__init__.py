"""Where weather comes from: one module for each weather service."""
