"""Channels for messages to people, one module each."""
