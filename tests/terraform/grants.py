"""The expected grants, listed a second time, so that no new permission goes unnoticed.

By resource: role -> accounts (velocast-<word>; `@` Google's service agents, `*` everyone, `-push` Pub/Sub's calls). A
role with `?` has a condition. Roles on the project are those for which Google offers no narrower scope.
"""

from __future__ import annotations

JOBS = "train evaluate promote"
FORECASTING = "forecast-tasks forecast-publish"
READERS = f"fetch predict monitor {JOBS} {FORECASTING}"

GRANTS: dict[str, dict[str, str]] = {
    "project": {
        "bigquery.jobUser": f"{READERS} notify retrain",
        "bigquery.readSessionUser": READERS,
        "cloudsql.client?": "mlflow",
        "cloudsql.instanceUser?": "mlflow",
        "logging.logWriter": "retrain forecast build",
        "monitoring.metricWriter": READERS,
        "run.viewer": "retrain forecast",
        "storage.objectViewer?": "build",
        "workflows.invoker": "monitor predict promote",
        "workflows.viewer": "retrain",
    },
    "dataset bike_traffic_raw": {
        "bigquery.dataEditor": f"fetch {JOBS}",
        "bigquery.dataViewer": f"predict monitor {FORECASTING}",
    },
    "dataset bike_traffic_predictions": {
        "bigquery.dataEditor": f"predict {JOBS} {FORECASTING}",
        "bigquery.dataViewer": "monitor",
    },
    "dataset monitoring_audit": {"bigquery.dataEditor": f"{READERS} notify retrain"},
    "bucket models": {
        "storage.objectUser": f"predict {JOBS} {FORECASTING} retrain",
        "storage.objectViewer": "monitor serve mlflow forecast",
    },
    "bucket reports": {"storage.objectUser": "monitor notify"},
    "bucket datasets": {"storage.objectUser": JOBS},
    "bucket site": {"storage.objectUser": "predict promote forecast-publish"},
    "bucket sources": {"storage.objectViewer": "build"},
    "registry velocast": {"artifactregistry.writer": "build"},
    "registry velocast-images": {"artifactregistry.writer": "build"},
    "secret velocast-api-keys": {"secretmanager.secretAccessor": "serve"},
    "secret velocast-channels": {"secretmanager.secretAccessor": "notify"},
    "secret velocast-city-token": {"secretmanager.secretAccessor": "fetch"},
    "secret velocast-discord-webhook": {"secretmanager.secretAccessor": "notify"},
    "topic velocast-alerts": {
        "pubsub.publisher": f"{READERS} retrain @gcp-sa-monitoring-notification"
    },
    "topic velocast-dead-letter": {"pubsub.publisher": "@gcp-sa-pubsub"},
    "job velocast-train": {"run.jobsExecutorWithOverrides": "retrain"},
    "job velocast-evaluate": {"run.jobsExecutorWithOverrides": "retrain"},
    "job velocast-promote": {"run.jobsExecutorWithOverrides": "retrain"},
    "job velocast-forecast-tasks": {"run.jobsExecutorWithOverrides": "forecast"},
    "job velocast-forecast-publish": {"run.jobsExecutorWithOverrides": "forecast"},
    "service velocast-mlflow": {"run.invoker": JOBS},
    "service velocast-serve": {"run.invoker": "*"},
}
for _name in ("fetch", "predict", "monitor", "notify"):
    GRANTS |= {
        f"service velocast-{_name}": {"run.invoker": f"{_name}-push"},
        f"subscription velocast-{_name}": {"pubsub.subscriber": "@gcp-sa-pubsub"},
        f"account velocast-{_name}-push": {"iam.serviceAccountTokenCreator": "@gcp-sa-pubsub"},
    }
