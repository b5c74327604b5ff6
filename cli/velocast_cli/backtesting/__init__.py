"""Backtests on historical counts, beside reference models."""
