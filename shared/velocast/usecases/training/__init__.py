"""The jobs train, evaluate and promote, and what they share."""
