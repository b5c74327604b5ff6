"""The models: fit, predict, store and load."""
