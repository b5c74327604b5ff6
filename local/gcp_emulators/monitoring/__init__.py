"""Metrics: receives OpenTelemetry metrics and serves them as Prometheus text."""
