"""BigQuery: bqemulator as a child process, with corrections where it differs from BigQuery."""
