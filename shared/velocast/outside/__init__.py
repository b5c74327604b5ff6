"""Layer 2, the outside: BigQuery, Cloud Storage, MLflow, Pub/Sub, the city, Discord."""
