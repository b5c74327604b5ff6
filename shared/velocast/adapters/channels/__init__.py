"""Where messages to people go: one module for each channel."""
