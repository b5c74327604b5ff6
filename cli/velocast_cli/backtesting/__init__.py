"""Backtests on historical counts, scored beside reference models."""
