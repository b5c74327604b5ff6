"""Data drift: the columns that are compared and the comparison."""
