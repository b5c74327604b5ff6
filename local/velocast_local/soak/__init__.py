"""The soak: days played while faults are injected, then compared with a clean run of the same days."""
