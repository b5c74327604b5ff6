"""Workflows: executes workflow files; Executions API by REST and gRPC."""
