"""When to retrain and what to deploy: pure rules over thresholds."""
