"""A synthetic city and its weather."""
