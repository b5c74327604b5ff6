"""The steps of the benchmarks that run in processes of their own (`harness.run_isolated`)."""
