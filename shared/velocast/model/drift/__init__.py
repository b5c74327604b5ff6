"""Data drift: which columns are compared, and the test for drift."""
