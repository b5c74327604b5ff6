"""The estimators: fit, predict, store and load."""
