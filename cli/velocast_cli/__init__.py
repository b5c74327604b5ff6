"""The command `velocast`: what a person runs against any deployment."""
