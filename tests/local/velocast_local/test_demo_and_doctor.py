"""`velocast demo` plays a city through the whole system; `velocast doctor` then examines the stack that it leaves.

The stack is clean, broken in ten ways, and broken in all ten at once. One stack serves both, since it takes a minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from gcp_emulators.core.http_server import free_port
from tests.local.velocast_local.broken_stack import (
    BREAKAGES,
    COUNTERS,
    BrokenStack,
    running_broken_stack,
)
from velocast.core import schemas
from velocast_cli.main import app
from velocast_local import commands
from velocast_local.stack.status import is_up

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(1200)]
NAMES = list(BREAKAGES)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokenStack]:
    with running_broken_stack(tmp_path_factory.mktemp("home")) as running:
        yield running


def doctor(*options: str) -> dict[str, Any]:
    """Run the command and return its JSON; the exit code must say whether it is clean."""
    done = CliRunner().invoke(app, ["doctor", "--json", *options])
    assert not done.exception or isinstance(done.exception, SystemExit), done.exc_info
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if report["clean"] else 1)
    return report


def assert_clean(report: dict[str, Any]) -> None:
    assert report["findings"] == []
    assert set(report["checks"].values()) == {"ok"}
    assert report["clean"] is True


def test_the_demo_prints_its_summary_as_json_and_nothing_else(stack: BrokenStack) -> None:
    summary = json.loads(stack.printed)
    assert summary["rows_ingested"] > COUNTERS * 24 * 80
    assert summary["weather"]["sources"] == ["perturbed"]
    assert summary["weather"]["rows_ingested"] > 6 * 24 * 90
    assert summary["forecasts"] >= 3 * COUNTERS * 119
    assert summary["champion"]["version"] >= 1
    assert 0.5 < summary["champion"]["r2"] <= 1
    assert summary["deployment_decisions"]["DEPLOY"] >= 1
    assert sum(summary["deployment_decisions"].values()) == 2, (
        "the first training and the forced one"
    )
    assert summary["retrain_decisions"]["FIRST"] == 1
    assert summary["messages"] >= 2
    assert summary["fault"] is None, "two days are too few to find a fault"
    assert {"load history", "fetch", "predict", "forced retraining"} <= set(summary["seconds"])


def test_a_stack_in_order_has_no_finding(stack: BrokenStack) -> None:
    assert_clean(doctor())
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["doctor"])
    assert shown.exit_code == 0
    assert "Everything is in order." in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_each_breakage_is_found_named_and_mended(stack: BrokenStack, name: str) -> None:
    breakage = BREAKAGES[name]
    breakage.break_it(stack)
    report = doctor("--fix") if breakage.mend_it is None else doctor()
    (finding,) = report["findings"]
    assert (finding["check"], finding["kind"]) == (breakage.check, "fault")
    assert breakage.subject in finding["subject"]
    assert finding["meaning"]
    assert finding["command"]
    if breakage.mend_it is None:
        assert [r["error"] for r in report["repairs"]] == [None]
        assert finding["fixed"] is True
        assert report["clean"] is True
    else:
        assert report["checks"][breakage.check] == "fault"
        assert finding["repair"] is None
        breakage.mend_it(stack)
        assert_clean(doctor())


def test_a_service_that_does_not_answer_leaves_its_checks_unknown(
    stack: BrokenStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    report = doctor()
    unknown = {name for name, result in report["checks"].items() if result == "unknown"}
    # each function's settings name the server that it was deployed with
    assert unknown == {"logins", "agreement"}
    assert {f["kind"] for f in report["findings"]} == {"unknown"}


def test_all_ten_at_once(stack: BrokenStack) -> None:
    """What --fix repairs is repaired, in an order that works; the rest stays found until it is mended by hand."""
    for breakage in BREAKAGES.values():
        breakage.break_it(stack)
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["doctor"])
    assert shown.exit_code == 1
    assert "10 faults, 0 not checked. `velocast doctor --fix` repairs 7 of them." in shown.stdout
    for breakage in BREAKAGES.values():
        assert f"fault {breakage.check}: " in shown.stdout
    broken = doctor("--fix")
    assert {f["check"] for f in broken["findings"]} == {b.check for b in BREAKAGES.values()}
    assert [r["repair"] for r in broken["repairs"] if r["error"]] == []
    by_hand = {b.check for b in BREAKAGES.values() if b.mend_it}
    assert {f["check"] for f in broken["findings"] if not f["fixed"]} == by_hand
    for breakage in BREAKAGES.values():
        if breakage.mend_it:
            breakage.mend_it(stack)
    assert_clean(doctor())


def test_what_was_healed_is_audited_and_serves(stack: BrokenStack) -> None:
    """After a split of all places the manifest's version is named everywhere, and by an audit row."""
    champion = stack.champion()
    stack.split_registry()
    stack.models.write_json("models/summary.json", [])
    stack.sql(
        f"DELETE FROM {schemas.LOGS} WHERE timestamp > '2000-01-01' AND event_type = 'DEPLOYMENT'"
    )
    report = doctor("--fix")
    assert {f["subject"] for f in report["findings"]} == {
        "forecast: summary",
        "forecast: MLflow",
        "forecast: audit",
    }
    assert report["clean"] is True
    alias = stack.mlflow.get_model_version_by_alias("velocast-forecast", "champion")
    assert int(alias.version) == champion.version
    assert stack.champion() == champion


def test_once_stops_the_stack_after_the_summary(
    stack: BrokenStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Must come last. The city has been played, so the demo is given the summary, and this stack to stop."""
    monkeypatch.setattr(commands, "_demo", lambda *_, **__: json.loads(stack.printed))
    assert is_up(stack.home)
    done = CliRunner().invoke(app, ["demo", "--once", "--json", "--home", str(stack.home)])
    assert done.exit_code == 0, done.output
    assert done.stdout == stack.printed
    assert not is_up(stack.home)
    shown = CliRunner().invoke(app, ["local", "status", "--json", "--home", str(stack.home)])
    status = json.loads(shown.stdout)
    assert (status["up"], status["left_over_processes"]) == (False, 0)
