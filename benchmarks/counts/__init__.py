"""Faults, gaps, growth and replaced counters, put into counts and found again."""
