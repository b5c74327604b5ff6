"""The decisions to retrain and to deploy: pure rules over thresholds."""
