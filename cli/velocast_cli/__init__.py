"""The command `velocast`: what an operator runs against any deployment."""
