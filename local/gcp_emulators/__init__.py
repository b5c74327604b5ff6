"""Google Cloud's services on one machine, for tests and development. Knows nothing of Velocast."""
