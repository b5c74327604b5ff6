"""Alert rules with their placeholders replaced as Terraform does it, and promtool to test them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from velocast.core import telemetry

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "terraform" / "config"
DASHBOARDS = ROOT / "terraform" / "modules" / "monitoring" / "dashboards"
PROMTOOL = shutil.which("promtool")

GENERIC = 'monitored_resource="generic_task"'
# Values that Terraform provides and a test must make up.
NAMES = {
    "environment": "dev",
    "project": "velocast-test",
    "location": "europe-west1",
    "serve": "velocast-serve",
    "serve_host": "velocast-serve-abc-ew.a.run.app",
    "health_check": "velocast-api-abc123",
    "freshness_check": "velocast-forecasts-abc123",
    "notify": "velocast-notify",
    "mlflow": "velocast-mlflow",
    "database": "velocast-test:velocast-mlflow",
    "services": "velocast-fetch|velocast-serve|velocast-mlflow",
    "jobs": "velocast-evaluate|velocast-promote|velocast-train",
    "subscriptions": "velocast-fetch|velocast-monitor|velocast-notify|velocast-predict",
    "workflow": "velocast-retrain",
    "forecast_workflow": "velocast-forecast",
    "dead_letter_subscription": "velocast-dead-letter-keep",
}

# Google's metrics that rules and dashboards read: their monitored resource and the labels they have there.
# Source: cloud.google.com/monitoring/api/metrics_gcp (Pub/Sub, Cloud Run, Cloud SQL, Workflows, Monitoring) and
# .../api/resources; names as PromQL knows them: cloud.google.com/monitoring/promql/promql-mapping.
GOOGLES = {
    "run_googleapis_com:request_count": (
        "cloud_run_revision",
        {"service_name", "response_code_class"},
    ),
    "run_googleapis_com:request_latencies_bucket": ("cloud_run_revision", {"service_name", "le"}),
    "run_googleapis_com:job_completed_execution_count": ("cloud_run_job", {"job_name", "result"}),
    "workflows_googleapis_com:finished_execution_count": (
        "workflows.googleapis.com/Workflow",
        {"workflow_id", "status"},
    ),
    "pubsub_googleapis_com:subscription_num_undelivered_messages": (
        "pubsub_subscription",
        {"subscription_id"},
    ),
    "pubsub_googleapis_com:subscription_oldest_unacked_message_age": (
        "pubsub_subscription",
        {"subscription_id"},
    ),
    "cloudsql_googleapis_com:database_disk_utilization": ("cloudsql_database", {"database_id"}),
    "monitoring_googleapis_com:uptime_check_check_passed": (
        "uptime_url",
        {"host", "check_id", "checker_location"},
    ),
}
LOG = "logging_googleapis_com:user_"


class Rule(BaseModel):
    """One alert rule. An unknown key is an error; Terraform would silently ignore it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    severity: Literal["critical", "warning"]
    duration: str = Field(pattern=r"^\d+s$")
    every: str = Field(pattern=r"^\d+s$")
    email: bool = False
    expression: str
    runbook: str


class BurnRate(BaseModel):
    """How fast an error budget may be spent: 1 is the rate at which it lasts exactly for the period."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Literal["critical", "warning"]
    rate: float
    long_seconds: int
    short_seconds: int


class Objective(BaseModel):
    """One service level objective; the Terraform module refuses more or less than one kind of indicator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    goal: float
    bad: str = ""
    total: str = ""
    latencies: str = ""
    max: str = ""
    good: str = ""
    window_seconds: int = 0
    runbook: str

    @property
    def filters(self) -> list[str]:
        """Its filters in Cloud Monitoring's language."""
        return [f for f in (self.bad, self.total, self.latencies, self.good) if f]


class Alerts(BaseModel):
    """terraform/config/alerts.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, float]
    rules: dict[str, Rule]
    burn_rates: dict[str, BurnRate]
    objectives: dict[str, Objective]


class LogMetric(BaseModel):
    """One entry of terraform/config/log_metrics.yaml; labels by the field they are taken from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    filter: str
    labels: dict[str, str]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def thresholds() -> dict[str, float]:
    found: dict[str, float] = read(ROOT / "shared" / "velocast" / "thresholds.yaml")
    return found


def alerts() -> Alerts:
    return Alerts.model_validate(read(CONFIG / "alerts.yaml"))


def log_metrics() -> dict[str, LogMetric]:
    entries = read(CONFIG / "log_metrics.yaml")
    return {name: LogMetric.model_validate(entry) for name, entry in entries.items()}


def values() -> dict[str, str]:
    """The values of `${name}`, with numbers as Terraform writes them."""
    numbers = thresholds() | alerts().parameters
    return {name: f"{number:g}" for name, number in numbers.items() if number is not None} | NAMES


def placeholders(text: str) -> list[str]:
    return re.findall(r"\$\{(.*?)\}", text)


def fill(text: str, known: Mapping[str, str]) -> str:
    """Replace the placeholders. Raises KeyError for an unknown one."""
    return re.sub(r"\$\{(.*?)\}", lambda found: known[found[1]], text)


def filled() -> dict[str, Rule]:
    known = values()
    return {
        name: Rule(
            **{k: fill(v, known) if isinstance(v, str) else v for k, v in rule.model_dump().items()}
        )
        for name, rule in alerts().rules.items()
    }


def objectives() -> dict[str, Objective]:
    """The objectives with their placeholders replaced."""
    known = values()
    return {
        name: Objective(
            **{
                k: fill(v, known) if isinstance(v, str) else v
                for k, v in objective.model_dump().items()
            }
        )
        for name, objective in alerts().objectives.items()
    }


def dashboards() -> dict[str, Any]:
    known = values()
    return {
        path.stem: yaml.safe_load(fill(path.read_text(encoding="utf-8"), known))
        for path in sorted(DASHBOARDS.glob("*.yaml"))
    }


def queries(dashboard: Mapping[str, Any]) -> list[str]:
    """Every PromQL query of a dashboard."""
    found = []

    def look(node: Any) -> None:
        if isinstance(node, dict):
            if "prometheusQuery" in node:
                found.append(str(node["prometheusQuery"]).strip())
            node = list(node.values())
        if isinstance(node, list):
            for item in node:
                look(item)

    look(dashboard)
    return found


def known_metrics() -> dict[str, tuple[set[str], set[str]]]:
    """Every existing metric, by its PromQL name: its monitored resources and its labels."""
    known = {name: ({resource}, labels) for name, (resource, labels) in GOOGLES.items()}
    for name in telemetry.METRICS:
        known[prometheus_name(f"{telemetry.METRIC_PREFIX}/{name}")] = (
            {"generic_task"},
            {"role", "test", "kind"},
        )
    for name, metric in log_metrics().items():
        resources = set(re.findall(r"cloud_run_\w+", metric.filter))
        known[f"{LOG}{name}"] = (resources, set(metric.labels))
    return known


def prometheus_name(metric_type: str) -> str:
    """Name of a metric in PromQL: the first slash is a colon, every other special character an underscore."""
    domain, _, path = metric_type.partition("/")
    return ":".join(re.sub(r"[^a-zA-Z0-9_]", "_", part) for part in (domain, path))


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """The metrics an expression reads, each with its matchers."""
    found = re.findall(r"([a-z_]+:\w+)(?:\{(.*?)\})?", re.sub(r"by \(.*?\)", "", expression))
    return [(name, dict(re.findall(r'(\w+)=~?"(.*?)"', matchers))) for name, matchers in found]


@dataclass(frozen=True)
class Case:
    """Made-up series (promtool's notation, one value per `step`), a time, and whether the rule must fire then.

    labels: those of the alert, where the rule keeps some.
    """

    name: str
    at: str
    fires: bool
    series: Mapping[str, str] = field(default_factory=dict)
    step: str = "1h"
    labels: Mapping[str, str] | None = None


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)


def check(expressions: Sequence[str], folder: Path) -> str:
    """Return promtool's errors about PromQL expressions; empty when all are valid."""
    file = folder / "expressions.yaml"
    listed = [{"record": f"r{n}", "expr": expression} for n, expression in enumerate(expressions)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": listed}]}))
    done = promtool("check", "rules", file)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def disagreement(rule: Rule, cases: Sequence[Case], folder: Path) -> str:
    """Return promtool's output if a rule does not behave as its cases expect; empty if it does."""
    entry = {"alert": "rule", "expr": rule.expression, "for": rule.duration}
    group = {"name": "g", "interval": rule.every, "rules": [entry]}
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    tests = [
        {
            "name": case.name,
            "interval": case.step,
            "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
            "alert_rule_test": [
                {
                    "eval_time": case.at,
                    "alertname": "rule",
                    "exp_alerts": [{"exp_labels": dict(case.labels or {})}] if case.fires else [],
                }
            ],
        }
        for case in cases
    ]
    file = folder / "tests.yaml"
    file.write_text(
        yaml.safe_dump(
            {"rule_files": ["rules.yaml"], "evaluation_interval": rule.every, "tests": tests}
        )
    )
    done = promtool("test", "rules", file)
    return "" if done.returncode == 0 else done.stdout + done.stderr
