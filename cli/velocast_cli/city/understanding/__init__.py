"""Understand a city's file by looking: time, layout, counters, counts, step and clock, as far as the file can tell."""
