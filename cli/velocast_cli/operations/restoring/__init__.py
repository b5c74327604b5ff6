"""Brings back objects, tables and the database as they were, and rehearses it."""
