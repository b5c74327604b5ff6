"""What the command prints, and its JSON."""

from __future__ import annotations

import json

import pytest
from google.api_core.exceptions import ServiceUnavailable
from rich.console import Console
from typer.testing import CliRunner

from velocast_cli import target
from velocast_cli.doctor import examination
from velocast_cli.doctor.command import print_report
from velocast_cli.doctor.examination import Attempt, Report, diagnose, silent
from velocast_cli.doctor.findings import Finding, unknown
from velocast_cli.doctor.system import System
from velocast_cli.main import app

COMMAND = "gcloud storage cp 'gs://a-project-models/models/gbm/a-run/model.skops#1' gs://a-project-models/x"
FAULT = Finding(
    check="artifacts",
    subject="gs://a-project-models/models/gbm/0123456789abcdef0123456789abcdef/model.skops",
    found="version 3: the object has SHA-256 0123456789ab..., the manifest says [red]abcdef012345[/red]...; "
    * 2,
    meaning="The champion cannot be loaded; an older version or similar days make the forecasts.",
    command=COMMAND,
    repair="restore_artifact",
)
AWAY = unknown("logins", "MLflow", RuntimeError("no\nanswer " * 60), "velocast doctor")


def report(*findings: Finding, attempts: tuple[Attempt, ...] = ()) -> Report:
    return Report("a-project", "Paris", "2026-03-01T05:00:00Z", findings, attempts)


def printed(shown: Report) -> list[str]:
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        print_report(shown, console)
    return capture.get().splitlines()


def test_findings_fit_80_columns_but_for_what_is_copied() -> None:
    lines = printed(report(FAULT, AWAY))
    assert f"   {COMMAND}" in lines, "a command stays on one line"
    long = [line for line in lines if len(line) > 80 and COMMAND not in line]
    assert long == [f"1. fault artifacts: {FAULT.subject}"]
    assert "[red]abcdef012345[/red]" in " ".join(lines), "what was found is not markup"
    assert lines[-1] == "1 fault, 1 not checked. `velocast doctor --fix` repairs 1 of them."


def test_what_was_fixed_is_shown_and_no_longer_counted() -> None:
    shown = report(
        FAULT.model_copy(update={"fixed": True}),
        attempts=(Attempt("restore_artifact"), Attempt("run_fetch", "the city is [away]")),
    )
    lines = printed(shown)
    assert "Repair restore_artifact: done" in lines
    assert "Repair run_fetch: failed: the city is [away]" in lines
    assert COMMAND not in "\n".join(lines)
    assert lines[-1] == "Everything is in order. 1 fixed."
    assert shown.as_dict()["clean"] is True


def test_the_json_has_one_shape() -> None:
    found = json.loads(json.dumps(report(FAULT, AWAY, attempts=(Attempt("back_up"),)).as_dict()))
    assert list(found) == ["project", "city", "as_of", "clean", "checks", "findings", "repairs"]
    assert list(found["checks"]) == list(examination.CHECKS)
    assert found["checks"]["artifacts"] == "fault"
    assert found["checks"]["logins"] == "unknown"
    assert found["checks"]["tables"] == "ok"
    assert found["findings"][0] == {
        "check": "artifacts",
        "kind": "fault",
        "subject": FAULT.subject,
        "found": FAULT.found,
        "meaning": FAULT.meaning,
        "command": COMMAND,
        "repair": "restore_artifact",
        "fixed": False,
    }
    assert found["findings"][1]["kind"] == "unknown"
    assert len(found["findings"][1]["found"]) < 230
    assert found["repairs"] == [{"repair": "back_up", "error": None}]


def failing(_system: System) -> list[Finding]:
    raise ServiceUnavailable("gone")  # type: ignore[no-untyped-call]


def test_a_check_or_repair_that_fails_stops_no_other(
    emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def mender(_system: System, findings: object) -> None:
        made.append(str(findings))
        raise ServiceUnavailable("still gone")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(
        examination, "CHECKS", {"backups": failing, "artifacts": lambda _system: [FAULT]}
    )
    monkeypatch.setattr(examination, "MENDERS", {"restore_artifact": mender})
    system = System(target.job_run("doctor", home=None, as_of="2026-03-01T05:00:00Z"))
    found = diagnose(system, fix=True, say=silent)
    assert [(f.check, f.kind, f.fixed) for f in found.findings] == [
        ("backups", "unknown", False),
        ("artifacts", "fault", False),
    ]
    assert len(made) == 1
    assert [a.error for a in found.attempts] == ["503 still gone"]


def test_without_settings_that_is_the_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "entry_points", lambda group: [])
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 1
    assert "fault settings: this command" in shown.stderr
    assert "GOOGLE_CLOUD_PROJECT" in shown.stderr
    as_json = CliRunner().invoke(app, ["doctor", "--json"])
    assert as_json.exit_code == 1
    found = json.loads(as_json.stdout)
    assert (found["clean"], found["findings"][0]["check"]) == (False, "settings")
