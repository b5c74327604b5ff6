"""The function `notify`: sends incidents and events as cards to a Discord channel."""
