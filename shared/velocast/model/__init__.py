"""Layer 3, model: pure functions from data frames to data frames, without clients, clock or environment."""
