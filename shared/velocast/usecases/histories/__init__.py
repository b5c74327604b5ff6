"""Which counters continue others: what is known as of an instant, what people decide, and what is proposed."""
