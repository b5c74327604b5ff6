"""Commands about the growth of counts, and the effect of a measure."""
