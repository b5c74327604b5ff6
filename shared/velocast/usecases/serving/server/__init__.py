"""How requests arrive: the HTTP protocol of the server, and the gateway in front of the application."""
