"""The alert rules: complete, with existing metrics and valid PromQL, and firing exactly when they must."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.terraform import rules
from tests.terraform.alert_cases import CASES
from velocast.core import telemetry
from velocast.core.audit_row import AuditRow

pytestmark = pytest.mark.emulator

needs_promtool = pytest.mark.skipif(
    rules.PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)"
)


def all_expressions() -> dict[str, str]:
    """Every expression of rules and dashboards, by location."""
    found = {f"rule {name}": rule.expression for name, rule in rules.filled().items()}
    for title, dashboard in rules.dashboards().items():
        for number, query in enumerate(rules.queries(dashboard)):
            found[f"dashboard {title}, query {number}"] = query
    return found


EXPRESSIONS = all_expressions()
RULES = rules.filled()
OBJECTIVES = rules.objectives()
BURN_RATES = rules.alerts().burn_rates


def test_every_required_alert_exists() -> None:
    assert {name: rule.severity for name, rule in RULES.items()} == {
        "champion_r2_critical": "critical",
        "champion_r2_warning": "warning",
        "drift_critical": "critical",
        "drift_warning": "warning",
        "drift_with_falling_r2": "warning",
        "error_unusual": "warning",
        "skill_negative": "critical",
        "counts_too_old": "warning",
        "forecasts_missing": "critical",
        "training_failed": "critical",
        "workflow_failed": "critical",
        "forecast_failed": "critical",
        "dead_letters": "critical",
        "serve_errors": "critical",
        "serve_latency": "warning",
        "serve_down": "critical",
        "notify_failing": "critical",
        "message_unprocessed": "warning",
        "database_disk": "warning",
        "mlflow_errors": "warning",
        "lease_held_too_long": "warning",
    }


def test_incidents_that_may_keep_others_from_discord_are_mailed() -> None:
    mailed = {name for name, rule in RULES.items() if rule.email}
    assert mailed == {"dead_letters", "serve_down", "notify_failing"}


def test_the_objectives_watch_errors_latency_and_freshness() -> None:
    found = {name: (o.goal, len(o.filters)) for name, o in OBJECTIVES.items()}
    assert found == {
        "serve_availability": (0.99, 2),
        "serve_speed": (0.95, 1),
        "forecast_freshness": (0.95, 1),
    }
    assert OBJECTIVES["serve_speed"].max == rules.values()["latency_ms"]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_reads_metrics_that_exist(name: str) -> None:
    known = rules.known_metrics()
    for text in OBJECTIVES[name].filters:
        terms = dict(re.findall(r'([a-z._]+)="([^"]+)"', text))
        assert " ".join(f'{key}="{value}"' for key, value in terms.items()) == text
        metric = rules.prometheus_name(terms.pop("metric.type"))
        # PromQL shows a distribution as buckets.
        resources, labels = known.get(metric) or known[f"{metric}_bucket"]
        assert terms.pop("resource.type") in resources
        assert {key.split(".labels.")[1] for key in terms} <= labels, text


def test_bad_requests_are_a_part_of_all_requests() -> None:
    availability = OBJECTIVES["serve_availability"]
    assert availability.bad == f'{availability.total} metric.labels.response_code_class="5xx"'


def test_burn_rates_are_those_of_the_workbook() -> None:
    """Its table names the share of a 30-day budget that is spent when a policy fires; short windows are a twelfth."""
    spent = {
        name: (burn.severity, round(burn.rate * burn.long_seconds / (30 * 86400), 3))
        for name, burn in BURN_RATES.items()
    }
    assert spent == {"fast": ("critical", 0.02), "slow": ("warning", 0.05)}
    assert {burn.long_seconds / burn.short_seconds for burn in BURN_RATES.values()} == {12}
    for burn in BURN_RATES.values():
        for name, objective in OBJECTIVES.items():
            assert burn.rate * (1 - objective.goal) < 1, f"{name} cannot burn that fast"
            assert max(burn.short_seconds, objective.window_seconds) < burn.long_seconds


def test_every_number_is_defined_once() -> None:
    parameters, thresholds = rules.alerts().parameters, rules.thresholds()
    assert not parameters.keys() & thresholds.keys()
    texts = (rules.CONFIG / "alerts.yaml").read_text(encoding="utf-8")
    used = set(rules.placeholders(texts.split("\nparameters:")[1]))
    assert parameters.keys() <= used
    assert {
        "r2_critical",
        "r2_warning",
        "drift_critical",
        "relative_error_warning",
        "stale_days",
    } <= used


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(KeyError, match="r2_crtical"):
        rules.fill("m < ${r2_crtical}", rules.values())


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_only_metrics_that_exist_are_read(where: str) -> None:
    known, read = rules.known_metrics(), rules.selectors(EXPRESSIONS[where])
    assert read, "an expression without a metric"
    for name, matchers in read:
        assert name in known, f"{name} is set by nothing"
        resources, labels = known[name]
        assert matchers.pop("monitored_resource", None) in resources, f"{name}: wrong resource"
        assert matchers.keys() <= labels, f"{name} has no label {matchers.keys() - labels}"


def test_every_custom_metric_is_set_by_the_code_and_is_used() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((rules.ROOT / "shared" / "velocast" / "usecases").rglob("*.py"))
    )
    read = {name for text in EXPRESSIONS.values() for name, _ in rules.selectors(text)}
    for metric in telemetry.METRICS:
        assert f'"{metric}"' in source, f"{metric} is declared and never set"
        assert rules.prometheus_name(f"custom.googleapis.com/{metric}") in read, (
            f"{metric} is shown nowhere"
        )
    for name in rules.log_metrics():
        assert f"{rules.LOG}{name}" in read, f"{name} is counted and shown nowhere"


def test_a_runbook_fits_and_names_what_exists() -> None:
    schedules = rules.read(rules.CONFIG / "schedules.yaml")
    for name, rule in (RULES | OBJECTIVES).items():
        assert len(rule.runbook.encode()) < 8000, name  # Terraform adds a link; 8,192 is the limit
        assert len(rule.runbook) > 150, f"{name}: a runbook says what happened and what to do"
        named = re.findall(r"scheduler jobs run (\S+)", rule.runbook)
        assert set(named) <= set(schedules), name
        assert not {len(line) for line in rule.runbook.splitlines() if len(line) > 130}, name


@needs_promtool
def test_every_expression_is_valid(tmp_path: Path) -> None:
    assert not rules.check(list(EXPRESSIONS.values()), tmp_path)


@needs_promtool
def test_an_invalid_expression_is_found(tmp_path: Path) -> None:
    assert "parse error" in rules.check(["max(last_over_time(m[8d]) < 1"], tmp_path)


def test_every_rule_has_cases_of_both_kinds() -> None:
    assert CASES.keys() == RULES.keys()
    for name, cases in CASES.items():
        assert {case.fires for case in cases} == {True, False}, name


@needs_promtool
@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_when_it_must_and_only_then(name: str, tmp_path: Path) -> None:
    assert not rules.disagreement(RULES[name], CASES[name], tmp_path)


TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


@needs_promtool
@pytest.mark.parametrize("name", CASES)
def test_a_reversed_threshold_is_detected(name: str, tmp_path: Path) -> None:
    """Test of the test: a rule that fires on the wrong side of its threshold must fail its cases."""
    rule = RULES[name]
    turned = re.sub(r" ([<>]=?) ", lambda sign: f" {TURNED[sign[1]]} ", rule.expression, count=1)
    assert turned != rule.expression
    said = rules.disagreement(rule.model_copy(update={"expression": turned}), CASES[name], tmp_path)
    assert "alertname: rule" in said


@pytest.mark.parametrize("name", rules.log_metrics())
def test_log_metrics_read_fields_that_lines_have(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = rules.log_metrics()[name]
    written = line(capsys)
    for field in [*metric.labels.values(), *re.findall(r"jsonPayload\.\w+", metric.filter)]:
        assert value_at(written, field) is not None, f"{field}: no such field in {written}"
    events = get_args(AuditRow.model_fields["event_type"].annotation)
    assert set(re.findall(r'event="(\w+)"', metric.filter)) <= set(events)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """A log line as `context.perform` writes it; the tests of functions and jobs check that it does."""
    telemetry.configure_logging("evaluate")
    fields = {"event": "DEPLOYMENT", "status": "OK", "decision": "SKIP"}
    telemetry.log("INFO", "evaluate DEPLOYMENT OK", execution_id="e1", **fields)
    written: dict[str, Any] = json.loads(capsys.readouterr().out)
    return written


def value_at(written: dict[str, Any], field: str) -> object:
    """What Cloud Logging stores under a field: labels separately, everything else in jsonPayload."""
    place, _, key = field.partition(".")
    found = {"labels": written["logging.googleapis.com/labels"], "jsonPayload": written}[place]
    value: object = found.get(key)
    return value


def test_there_are_four_dashboards_with_all_panels() -> None:
    shown = {
        dashboard["displayName"]: {
            name for q in rules.queries(dashboard) for name, _ in rules.selectors(q)
        }
        for dashboard in rules.dashboards().values()
    }
    panels = {
        "Overview": {
            "bike_drift_share",
            "bike_forecast_r2",
            "request_count",
            "uptime_check_check_passed",
        },
        "Model Performance": {"bike_model_r2", "bike_forecast_rmse", "request_latencies_bucket"},
        "Drift Monitoring": {"bike_drift_share", "bike_drifted_features", "bike_forecast_r2"},
        "Training & Deployment": {
            "job_completed_execution_count",
            "user_velocast_deployments",
            "bike_model_improvement_delta",
        },
    }
    assert {title.removeprefix("Velocast dev - ") for title in shown} == panels.keys()
    for title, names in panels.items():
        assert names <= {name.split(":")[1] for name in shown[f"Velocast dev - {title}"]}, title


@pytest.mark.parametrize("title", rules.dashboards())
def test_a_dashboards_tiles_do_not_overlap(title: str) -> None:
    layout = rules.dashboards()[title]["mosaicLayout"]
    covered: set[tuple[int, int]] = set()
    for tile in layout["tiles"]:
        x, y = tile.get("xPos", 0), tile.get("yPos", 0)
        assert x + tile["width"] <= layout["columns"]
        cells = {(x + i, y + j) for i in range(tile["width"]) for j in range(tile["height"])}
        assert not covered & cells, f"{tile['widget']['title']} lies over another tile"
        covered |= cells
        for threshold in tile["widget"].get("xyChart", {}).get("thresholds", []):
            assert not {"color", "direction"} & threshold.keys(), "allowed in scorecards only"
            assert isinstance(threshold["value"], int | float)
