"""Workflows: executes workflow files, and serves the Executions API by REST and gRPC."""
