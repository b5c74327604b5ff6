"""Commands about single counts."""
