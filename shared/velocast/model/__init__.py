"""Layer 3, the model: pure functions from data frames to data frames; no client, clock or environment."""
