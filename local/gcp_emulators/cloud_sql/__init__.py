"""Cloud SQL's Admin API over one SQLite file: backups and their restoration."""
