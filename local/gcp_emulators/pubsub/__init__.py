"""Pub/Sub: gRPC and REST, push and pull, retries and dead letters."""
