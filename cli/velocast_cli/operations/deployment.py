"""The names of what Terraform and the local stack create; a test compares them with terraform/config."""

from __future__ import annotations

FETCH_TOPIC = "velocast-fetch"
PREDICT_TOPIC = "velocast-predict"
MONITOR_TOPIC = "velocast-monitor"
DEAD_LETTERS = "velocast-dead-letter-keep"  # the subscription that keeps them
PROMOTE_JOB = "velocast-promote"
SERVE_SERVICE = "velocast-serve"
DATABASE = "velocast-mlflow"  # the Cloud SQL instance
# Everything that writes audit rows, by the first part of their event ids.
COMPONENTS = ("fetch", "predict", "monitor", "notify", "train", "evaluate", "promote", "retrain")
