"""Puts the previous champion back, or the previous revision of the API."""
