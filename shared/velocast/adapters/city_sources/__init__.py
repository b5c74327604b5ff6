"""Where counts come from: one module for each kind of open-data portal."""
