"""The jobs train, evaluate and promote."""
