"""Layer 2, adapters to the outside: BigQuery, Cloud Storage, MLflow, Pub/Sub, Workflows, cities, weather, channels."""
