"""Histories of counters that continue others, and sums of counters."""
