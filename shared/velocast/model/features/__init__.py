"""The columns a model learns from, as of the forecast origin."""
