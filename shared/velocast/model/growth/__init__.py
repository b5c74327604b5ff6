"""Growth of counts, and the effect of a measure at some counters."""
