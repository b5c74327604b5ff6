"""Google Cloud's services on one machine, for tests and development. See README.md."""
