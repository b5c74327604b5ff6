"""Faults of counters: found by comparing each counter with its usual days, its peers and the city as a whole."""
