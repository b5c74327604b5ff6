"""`velocast doctor` on a whole stack: clean, broken in ten ways, and broken in all ten at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from gcp_emulators.core.http_server import free_port
from tests.local.velocast_local.broken_stack import (
    BREAKAGES,
    BrokenStack,
    running_broken_stack,
)
from velocast.core import schemas
from velocast_cli.main import app

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
