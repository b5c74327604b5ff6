"""Scores, and the reference models that a forecast has to beat."""
