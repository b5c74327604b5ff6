"""The command line by itself, and what an installed package adds to it by entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from velocast.core.errors import SettingsError
from velocast_cli import main, target
from velocast_cli.target import FallbackTarget

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
# Hides the local stack's package and its entry points, as where it is not installed.
ALONE = """
import importlib.metadata, sys
from importlib.metadata import EntryPoints, entry_points

def without_local(**select):
    return EntryPoints(e for e in entry_points(**select) if not e.value.startswith("velocast_local"))

importlib.metadata.entry_points = without_local
sys.modules["velocast_local"] = None
from velocast_cli.main import app
app(sys.argv[1:], prog_name="velocast")
"""


def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line without the local package and without a project."""
    environment = {k: v for k, v in os.environ.items() if k != "GOOGLE_CLOUD_PROJECT"}
    return subprocess.run(
        [sys.executable, "-c", ALONE, *arguments],
        env=environment | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_local_package_its_commands_are_absent() -> None:
    shown = alone("--help")
    assert shown.returncode == 0, shown.stderr
    words = set(shown.stdout.split())
    assert {"status", "backtest", "dataset", "reproduce"} <= words
    assert not {"demo", "local", "simulate"} & words


def test_without_the_local_package_and_a_project_it_says_what_to_set() -> None:
    failed = alone("dataset", "list")
    assert failed.returncode == 1
    assert failed.stderr.startswith("dataset list: GOOGLE_CLOUD_PROJECT is not set; set it and")
    assert "Traceback" not in failed.stderr


def test_it_tells_its_version_and_h_is_help() -> None:
    shown = CliRunner().invoke(main.app, ["--version"])
    assert (shown.exit_code, shown.stdout) == (0, f"velocast {version('velocast')}\n")
    for arguments in ([], ["city"], ["city", "new"]):
        shown = CliRunner().invoke(main.app, [*arguments, "-h"])
        assert shown.exit_code == 0
        assert shown.stdout == CliRunner().invoke(main.app, [*arguments, "--help"]).stdout


def add_greeting(app: typer.Typer) -> None:
    app.command("greet")(lambda: typer.echo("hello"))


def test_an_entry_point_adds_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = EntryPoint("greeting", f"{__name__}:add_greeting", main.COMMANDS)
    monkeypatch.setattr(EntryPoint, "load", lambda _: add_greeting)
    monkeypatch.setattr(main, "entry_points", lambda group: [plugin] * (group == main.COMMANDS))
    shown = CliRunner().invoke(main.build_command_line(), ["greet"])
    assert (shown.exit_code, shown.stdout) == (0, "hello\n")


class TestFallbackTarget:
    @pytest.fixture
    def homes(
        self, emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> list[Path | None]:
        """The folders that the fallback target was asked for; it gives the tests' environment."""
        asked: list[Path | None] = []

        def offer(home: Path | None) -> FallbackTarget:
            asked.append(home)
            return FallbackTarget(lambda: emulator_environment, lambda: NOW)

        plugin = EntryPoint("test", "unused:unused", target.FALLBACK_TARGET)
        monkeypatch.setattr(EntryPoint, "load", lambda _: offer)
        monkeypatch.setattr(
            target, "entry_points", lambda group: [plugin] * (group == target.FALLBACK_TARGET)
        )
        monkeypatch.delenv("VELOCAST_AS_OF", raising=False)
        return asked

    def test_it_is_used_where_the_environment_names_no_project(
        self,
        homes: list[Path | None],
        emulator_environment: dict[str, str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in emulator_environment:
            monkeypatch.delenv(name, raising=False)
        run = target.job_run("dataset", home=tmp_path, as_of=None)
        assert homes == [tmp_path]
        assert run.settings.project == emulator_environment["GOOGLE_CLOUD_PROJECT"]
        assert run.as_of == NOW

    def test_a_project_in_the_environment_comes_first(
        self, homes: list[Path | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "another-project")
        run = target.job_run("dataset", home=None, as_of=None)
        assert run.settings.project == "another-project"

    def test_without_one_the_variable_to_set_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(target, "entry_points", lambda group: [])
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
        with pytest.raises(SettingsError, match="GOOGLE_CLOUD_PROJECT is not set; set it and"):
            target.job_run("dataset", home=None, as_of=None)
