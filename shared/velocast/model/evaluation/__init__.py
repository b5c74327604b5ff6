"""Scores, and the reference models that a model has to beat."""
