from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gcp_emulators.core.clock import Clock
from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import FIRST, LATER, Lab
from velocast.core.datetimes import parse_instant
from velocast_cli import target
from velocast_cli.main import app
from velocast_local.stack.state import BASE_PARTS, StackState


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with training_lab.laid_out(request, "trained") as lab:
        lab.keep()
        yield lab


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def answered(result: Result) -> Any:
    return json.loads(result.stdout)


def test_freeze_list_and_verify_go_together(lab: Lab, tmp_path: Path) -> None:
    frozen = velocast("dataset", "freeze", "--as-of", LATER, "--home", str(tmp_path), "--json")
    assert frozen.exit_code == 0
    baseline = answered(frozen)["baseline"]
    assert answered(frozen)["new"] is True
    listed = velocast("dataset", "list", "--json")
    assert listed.exit_code == 0
    in_force = {d["role"]: d for d in answered(listed)["datasets"] if d["in_force"]}
    assert in_force["test_baseline"]["sha256"] == baseline["test"]["sha256"]
    assert in_force["train_baseline"]["rows"] == baseline["train"]["rows"]
    used = [d["used_by"] for d in answered(listed)["datasets"] if not d["in_force"]]
    assert [f"forecast/{lab.training('first').version}"] in used
    verified = velocast("dataset", "verify", "--json")
    assert verified.exit_code == 0
    assert answered(verified)["intact"] is True


def test_words_for_people(lab: Lab) -> None:
    frozen = velocast("dataset", "freeze", "--as-of", LATER)
    assert "a new baseline is in force" in frozen.stdout
    assert "already" in velocast("dataset", "freeze", "--as-of", LATER).stdout
    listed = velocast("dataset", "list").stdout
    assert "test_baseline (in force)" in listed
    assert f"forecast/{lab.training('first').version}" in listed
    assert "intact" in velocast("dataset", "verify").stdout


def test_verify_fails_for_altered_bytes(lab: Lab) -> None:
    name = lab.objects("datasets").names("counts/")[0]
    lab.objects("datasets").write(name, b"other", content_type="text/plain")
    found = velocast("dataset", "verify", "--json")
    assert found.exit_code == 1
    assert answered(found)["intact"] is False
    spoken = velocast("dataset", "verify")
    assert spoken.exit_code == 1
    assert "restore the generation" in spoken.stdout


def test_reproduce_compares_and_says_how(lab: Lab) -> None:
    version = lab.training("first").version
    spoken = velocast("reproduce", str(version))
    assert spoken.exit_code == 0, spoken.output
    assert "the same" in spoken.stdout
    lab.objects().write_json(*forged(lab))
    answer = velocast("reproduce", str(version), "--json")
    assert answer.exit_code == 1
    assert answered(answer)["reproduced"] is False


def forged(lab: Lab) -> tuple[str, Any]:
    """A record that says the version was trained with another seed on fewer counters."""
    made = lab.training("first")
    value = made.model_dump(mode="json") | {"test_mode": True, "counter_ids": []}
    return f"models/blend/{made.run_id}/train.json", value


def test_a_version_that_is_not_there_is_an_error_on_standard_error(lab: Lab) -> None:
    found = velocast("reproduce", "999", "--json")
    assert found.exit_code == 1
    assert found.stdout == ""
    assert "version 999" in found.stderr


def test_without_project_and_stack_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    found = velocast("dataset", "list", "--home", str(tmp_path))
    assert found.exit_code == 1
    assert "start one with `velocast local up`" in found.stderr


class TestMoment:
    def state(self, home: Path) -> StackState:
        made = StackState(home, home, "demoville", None, dict.fromkeys(BASE_PARTS, 4711))
        made.write()
        Clock(made.clock_file).set(parse_instant(LATER))
        return made

    def test_the_local_stack_stands_where_its_clock_does(
        self, tmp_path: Path, emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("VELOCAST_AS_OF", raising=False)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", self.state(tmp_path).url)
        run = target.job_run("dataset", home=tmp_path, as_of=None)
        assert run.as_of == parse_instant(LATER)

    def test_another_system_is_not_bound_to_that_clock(
        self, tmp_path: Path, emulator_environment: dict[str, str]
    ) -> None:
        self.state(tmp_path)
        assert target.job_run("dataset", home=tmp_path, as_of=None).as_of.year > 2025

    def test_what_is_asked_comes_first(
        self, tmp_path: Path, emulator_environment: dict[str, str]
    ) -> None:
        run = target.job_run("dataset", home=tmp_path, as_of=FIRST)
        assert run.as_of == parse_instant(FIRST)
