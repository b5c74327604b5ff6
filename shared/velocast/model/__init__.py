"""Layer 3, the model: pure functions from frames to frames; no client, clock or environment."""
