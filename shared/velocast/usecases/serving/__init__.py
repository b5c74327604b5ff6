"""The function `serve`: the HTTP API and the dashboard page."""
