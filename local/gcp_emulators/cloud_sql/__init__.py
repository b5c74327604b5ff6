"""Cloud SQL: the backups of a database, and their restoration."""
