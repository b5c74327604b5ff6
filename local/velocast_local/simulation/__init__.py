"""Simulation of a synthetic city and its weather."""
