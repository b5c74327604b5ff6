"""The features of a model, as of the forecast origin."""
