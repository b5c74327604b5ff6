"""Layer 2, adapters: BigQuery, Cloud Storage, MLflow, Pub/Sub, Workflows, cities, weather, message channels."""
