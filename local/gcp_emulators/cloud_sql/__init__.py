"""Cloud SQL: the backups of a database."""
