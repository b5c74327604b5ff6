"""Cloud Storage: the JSON API over SQLite and files."""
