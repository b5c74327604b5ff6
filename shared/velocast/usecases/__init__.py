"""Layer 4, the use cases: what the functions and jobs do."""
