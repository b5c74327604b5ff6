"""BigQuery: the client, MERGE statements, SQL files."""
