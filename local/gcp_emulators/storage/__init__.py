"""Cloud Storage: the JSON API, with SQLite and files as storage."""
