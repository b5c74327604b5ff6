"""Made-up series on which each alert rule must fire, and others on which it must not.

Gauges are sparse, as in the real system: one value, then nothing (`_xN` is N steps without a sample). Counters start
with a 0; Cloud Monitoring needs none, because it knows when a counter's series started.
"""

from __future__ import annotations

from tests.terraform.rules import GENERIC, NAMES, Case

GAUGE = "custom_googleapis_com:bike_{}{{" + GENERIC + "}}"
R2, DRIFT, ERROR, SKILL = (
    GAUGE.format(name)
    for name in (
        "forecast_r2",
        "drift_share",
        "forecast_relative_error",
        "forecast_skill_reference",
    )
)
LEASE = GAUGE.format("retrain_lease_seconds")
AGE, FORECASTS = GAUGE.format("newest_count_age_seconds"), GAUGE.format("forecasts_generated")
ABSENT = {"monitored_resource": "generic_task"}


def job(name: str, result: str) -> str:
    labels = f'monitored_resource="cloud_run_job",job_name="{name}",result="{result}"'
    return f"run_googleapis_com:job_completed_execution_count{{{labels}}}"


def execution(workflow: str, status: str) -> str:
    resource = 'monitored_resource="workflows.googleapis.com/Workflow"'
    labels = f'{resource},workflow_id="{workflow}",status="{status}"'
    return f"workflows_googleapis_com:finished_execution_count{{{labels}}}"


def kept(subscription: str) -> str:
    labels = f'monitored_resource="pubsub_subscription",subscription_id="{subscription}"'
    return f"pubsub_googleapis_com:subscription_num_undelivered_messages{{{labels}}}"


def requests(status: str, service: str = "velocast-serve") -> str:
    resource = 'monitored_resource="cloud_run_revision"'
    labels = f'{resource},service_name="{service}",response_code_class="{status}"'
    return f"run_googleapis_com:request_count{{{labels}}}"


def latencies(le: str) -> str:
    labels = f'monitored_resource="cloud_run_revision",service_name="velocast-serve",le="{le}"'
    return f"run_googleapis_com:request_latencies_bucket{{{labels}}}"


def oldest(subscription: str) -> str:
    labels = f'monitored_resource="pubsub_subscription",subscription_id="{subscription}"'
    return f"pubsub_googleapis_com:subscription_oldest_unacked_message_age{{{labels}}}"


def disk(instance: str) -> str:
    labels = f'monitored_resource="cloudsql_database",database_id="velocast-test:{instance}"'
    return f"cloudsql_googleapis_com:database_disk_utilization{{{labels}}}"


def uptime(place: str, check: str = NAMES["health_check"]) -> str:
    labels = f'monitored_resource="uptime_url",check_id="{check}",checker_location="{place}"'
    return f"monitoring_googleapis_com:uptime_check_check_passed{{{labels}}}"


def passed(**places: int) -> dict[str, str]:
    """An hour of checks from each place, all passed (1) or all failed (0)."""
    return {uptime(place): f"{result}x4" for place, result in places.items()}


def served(per_minute: dict[str, int], service: str = "velocast-serve") -> dict[str, str]:
    """Half an hour of requests, so many a minute of each class."""
    return {requests(status, service): f"0+{n}x30" for status, n in per_minute.items()}


def taken(up_to_500: int, up_to_1000: int, all_of_them: int) -> dict[str, str]:
    """Half an hour of requests by latency: so many a minute within 500 ms, within 1,000 ms, and in all."""
    within = {"500": up_to_500, "1000": up_to_1000, "+Inf": all_of_them}
    return {latencies(le): f"0+{n}x30" for le, n in within.items()} | served({"2xx": all_of_them})


CASES: dict[str, tuple[Case, ...]] = {
    "champion_r2_critical": (
        Case("below, a week ago", "167h", True, {R2: "0.64"}),
        Case("at the threshold", "1h", False, {R2: "0.65"}),
        Case("a better model was promoted since", "5h", False, {R2: "0.5 _x3 0.8"}),
        Case("too long ago to say anything", "200h", False, {R2: "0.5"}),
        Case("nothing known", "1h", False),
    ),
    "champion_r2_warning": (
        Case("below", "1h", True, {R2: "0.69"}),
        Case("at the threshold", "1h", False, {R2: "0.7"}),
    ),
    "drift_critical": (
        Case("at the threshold", "1h", True, {DRIFT: "0.7"}),
        Case("below", "1h", False, {DRIFT: "0.69"}),
    ),
    "drift_warning": (
        Case("at the threshold, six days ago", "144h", True, {DRIFT: "0.5"}),
        Case("below", "1h", False, {DRIFT: "0.49"}),
    ),
    "drift_with_falling_r2": (
        Case("both", "169h", True, {DRIFT: "0.5 _x167 0.5", R2: "0.9 _x167 0.8"}),
        Case("both, until the next week's run", "335h", True, {DRIFT: "_x168 0.5", R2: "0.9 _x167 0.8"}),
        Case("R2 falls by what it may", "169h", False, {DRIFT: "_x168 0.5", R2: "0.9 _x167 0.86"}),
        Case("R2 rises", "169h", False, {DRIFT: "_x168 0.5", R2: "0.8 _x167 0.9"}),
        Case("no drift", "169h", False, {DRIFT: "_x168 0.4", R2: "0.9 _x167 0.8"}),
        Case("the first week", "1h", False, {DRIFT: "0.5", R2: "0.8"}),
    ),
    "error_unusual": (
        Case("above", "1h", True, {ERROR: "1.51"}),
        Case("at the threshold", "1h", False, {ERROR: "1.5"}),
        Case("nothing usual is known", "1h", False),
    ),
    "skill_negative": (
        Case("worse than the better reference", "1h", True, {SKILL: "-0.01"}),
        Case("as good as the better reference", "1h", False, {SKILL: "0"}),
    ),
    "counts_too_old": (
        Case("three days and a second", "2h", True, {AGE: "259201"}),
        Case("three days", "2h", False, {AGE: "259200"}),
        Case("fetch has reported nothing for three days", "80h", True, {AGE: "90000"}, labels=ABSENT),
        Case("fetch reported yesterday", "25h", False, {AGE: "90000"}),
        Case("never fetched", "2h", True, labels=ABSENT),
        Case("installed half an hour ago", "30m", False),
    ),
    "forecasts_missing": (
        Case("today's are there", "25h", False, {FORECASTS: "2400"}),
        Case("a run that made none", "2h", True, {FORECASTS: "0"}),
        Case("no run since yesterday", "28h", True, {FORECASTS: "2400"}, labels=ABSENT),
        Case("never forecast", "2h", True, labels=ABSENT),
        Case("installed half an hour ago", "30m", False),
    ),
    "training_failed": (
        Case(
            "evaluate failed",
            "30m",
            True,
            {job("velocast-evaluate", "failed"): "0x10 1x50", job("velocast-train", "succeeded"): "0x5 1x50"},
            step="1m",
            labels={"job_name": "velocast-evaluate"},
        ),
        Case("all succeeded", "30m", False, {job("velocast-train", "succeeded"): "0x10 1x50"}, step="1m"),
        Case("a job of somebody else's", "30m", False, {job("import", "failed"): "0x10 1x50"}, step="1m"),
        Case("failed two hours ago", "3h", False, {job("velocast-train", "failed"): "0x10 1x200"}, step="1m"),
    ),
    "workflow_failed": (
        Case("failed", "30m", True, {execution("velocast-retrain", "FAILED"): "0x10 1x50"}, step="1m"),
        Case("succeeded", "30m", False, {execution("velocast-retrain", "SUCCEEDED"): "0x10 1x50"}, step="1m"),
        Case("another workflow", "30m", False, {execution("import", "FAILED"): "0x10 1x50"}, step="1m"),
    ),
    "forecast_failed": (
        Case("failed", "30m", True, {execution("velocast-forecast", "FAILED"): "0x10 1x50"}, step="1m"),
        Case("succeeded", "30m", False, {execution("velocast-forecast", "SUCCEEDED"): "0x10 1x50"}, step="1m"),
        Case("a retraining failed", "30m", False, {execution("velocast-retrain", "FAILED"): "0x10 1x50"}, step="1m"),
    ),
    "dead_letters": (
        Case("one", "30m", True, {kept("velocast-dead-letter-keep"): "1x60"}, step="1m"),
        Case("none", "30m", False, {kept("velocast-dead-letter-keep"): "0x60"}, step="1m"),
        Case("taken out", "50m", False, {kept("velocast-dead-letter-keep"): "1x20 0x40"}, step="1m"),
        Case("another subscription waits", "30m", False, {kept("velocast-fetch"): "5x60"}, step="1m"),
    ),
    "serve_errors": (
        Case("11 of 100", "25m", True, served({"2xx": 89, "5xx": 11}), step="1m"),
        Case("9 of 100", "25m", False, served({"2xx": 91, "5xx": 9}), step="1m"),
        Case("callers' mistakes", "25m", False, served({"2xx": 50, "4xx": 50}), step="1m"),
        Case("another service", "25m", False, served({"5xx": 50}, "velocast-fetch"), step="1m"),
        Case("three requests", "25m", False, {requests("5xx"): "0x20 1 2 3 3 3 3 3 3 3 3"}, step="1m"),
        Case("for two minutes", "3m", False, served({"5xx": 50}), step="1m"),
    ),
    "serve_latency": (
        Case("one in ten is slow", "25m", True, taken(90, 100, 100), step="1m"),
        Case("one in fifty is slow", "25m", False, taken(98, 100, 100), step="1m"),
        Case("hardly a request", "100m", False, taken(0, 1, 1), step="5m"),
    ),
    "serve_down": (
        Case("two places of three", "45m", True, passed(a=0, b=0, c=1), step="15m"),
        Case("one place of three", "45m", False, passed(a=0, b=1, c=1), step="15m"),
        Case("only forecasts are old", "45m", False, {uptime("a", NAMES["freshness_check"]): "0x4"}, step="15m"),
        Case("not checked", "45m", False),
    ),
    "notify_failing": (
        Case("every message was refused", "25m", True, served({"5xx": 1}, "velocast-notify"), step="1m"),
        Case("Pub/Sub may not call it", "25m", True, served({"4xx": 1}, "velocast-notify"), step="1m"),
        Case("one got through", "25m", False, served({"5xx": 1, "2xx": 1}, "velocast-notify"), step="1m"),
        Case("refused twice", "25m", False, {requests("5xx", "velocast-notify"): "0x20 1 2 2 2 2 2 2"}, step="1m"),
        Case("no message", "25m", False),
        Case("another function", "25m", False, served({"5xx": 1}, "velocast-fetch"), step="1m"),
    ),
    "message_unprocessed": (
        Case(
            "longer than deliveries take",
            "30m",
            True,
            {oldest("velocast-fetch"): "7201x60"},
            step="1m",
            labels={"subscription_id": "velocast-fetch"},
        ),
        Case("as long as deliveries take", "30m", False, {oldest("velocast-fetch"): "7200x60"}, step="1m"),
        Case("processed since", "50m", False, {oldest("velocast-fetch"): "9000x20 0x40"}, step="1m"),
        Case("a dead letter", "30m", False, {oldest("velocast-dead-letter-keep"): "99999x60"}, step="1m"),
    ),
    "database_disk": (
        Case("nearly full", "70m", True, {disk("velocast-mlflow"): "0.91x90"}, step="1m"),
        Case("at the threshold", "70m", False, {disk("velocast-mlflow"): "0.9x90"}, step="1m"),
        Case("full for ten minutes", "20m", False, {disk("velocast-mlflow"): "0.2x10 0.95x80"}, step="1m"),
        Case("another database", "70m", False, {disk("other"): "0.99x90"}, step="1m"),
    ),
    "mlflow_errors": (
        Case("five in an hour", "30m", True, {requests("5xx", "velocast-mlflow"): "0x10 6x60"}, step="1m"),
        Case("two in an hour", "30m", False, {requests("5xx", "velocast-mlflow"): "0x10 2x60"}, step="1m"),
        Case("an unknown version", "30m", False, {requests("4xx", "velocast-mlflow"): "0x10 9x60"}, step="1m"),
        Case("errors of serve", "30m", False, {requests("5xx"): "0x10 9x60"}, step="1m"),
    ),
    "lease_held_too_long": (
        Case("longer than a retraining takes", "20h", True, {LEASE: "28801"}),
        Case("a retraining runs", "20h", False, {LEASE: "28800"}),
        Case("freed, and predict has run since", "26h", False, {LEASE: "90000 _x23 0"}),
        Case("predict has not run for long", "30h", False, {LEASE: "90000"}),
    ),
}  # fmt: skip
