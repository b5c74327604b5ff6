"""The function `notify`: incidents and events become messages in a channel."""
