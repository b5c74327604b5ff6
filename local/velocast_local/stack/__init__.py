"""The stack: start, stop, supervision, environment, servers."""
