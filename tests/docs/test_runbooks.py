"""Alerts, runbooks and commands belong together: every alert has a page, every command that is shown exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tests.terraform import rules
from velocast_cli.main import app

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS: dict[str, rules.Rule | rules.Objective] = {**rules.filled(), **rules.objectives()}
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.stem != "index")
SECTIONS = ["Symptom", "What it means", "Look here", "Do this"]
# Commands that are shown and not built yet. A test fails as soon as one of them exists: then take it out of this set.
PENDING: set[str] = set()


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `velocast` command in a text, from lines of code and from `code` in sentences."""
    found = re.findall(r"^ *(?:\.venv/bin/)?velocast (.*)$", text, re.MULTILINE)
    found += re.findall(r"`(?:\.venv/bin/)?velocast ([^`\n]+)`", text)
    for line in found:
        yield shlex.split(line, comments=True)


TEXTS = {f"alert {name}": alert.runbook for name, alert in ALERTS.items()} | {
    f"docs/{path.relative_to(ROOT / 'docs')}": path.read_text(encoding="utf-8")
    for path in [*PAGES, RUNBOOKS / "index.md", ROOT / "docs" / "operate.md"]
}
SHOWN = sorted({(where, *words) for where, text in TEXTS.items() for words in commands(text)})


@cache
def whole_command() -> Any:
    return typer.main.get_command(app)


def parse(words: list[str]) -> None:
    """Let the application parse a command without running it. Raises its usage error."""
    command = whole_command()
    path = ["velocast"]
    while hasattr(command, "commands"):
        name = words[0] if words else ""
        if command.invoke_without_command and name not in command.commands:
            break
        if name not in command.commands:
            raise LookupError(f"{' '.join(path)} has no command {name!r}")
        command, words = command.commands[name], words[1:]
        path.append(name)
    command.make_context(" ".join(path), list(words))


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {path.stem for path in PAGES} == set(ALERTS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_says_what_it_means_and_what_to_do(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    for section in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        assert len(section.strip()) > 40, section
    links = re.findall(r"\]\(([^):]+\.(?:md|yaml))\)", text)
    assert not [link for link in links if not (RUNBOOKS / link).exists()]


def test_every_page_is_in_the_index_and_in_the_navigation() -> None:
    index = (RUNBOOKS / "index.md").read_text(encoding="utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert f"- [{title}]({page.name})\n" in index
        assert re.search(rf"- \"?{re.escape(title)}\"?: runbooks/{page.name}\n", navigation)


@pytest.mark.parametrize("shown", SHOWN, ids=" ".join)
def test_every_command_that_is_shown_can_be_run_as_written(shown: tuple[str, ...]) -> None:
    _, *words = shown
    if words[0] not in PENDING:
        parse(words)


def test_a_pending_command_does_not_exist_yet() -> None:
    existing: Any = typer.main.get_command(app)
    built = PENDING & set(existing.commands)
    assert not built, f"take {sorted(built)} out of PENDING, so that its commands are checked"
    unused = PENDING - {words[0] for _, *words in SHOWN}
    assert not unused, f"{sorted(unused)} are pending and shown nowhere"


def test_commands_are_found_and_wrong_ones_refused() -> None:
    assert len({where for where, *_ in SHOWN}) > 30
    parse(["reproduce", "2"])
    parse(["dataset", "list"])
    with pytest.raises(LookupError, match="velocast has no command 'rollbak'"):
        parse(["rollbak"])
    with pytest.raises(LookupError, match="velocast dataset has no command ''"):
        parse(["dataset"])
    with pytest.raises(Exception, match="--sinse"):
        parse(["status", "--sinse", "2026-03-01"])


# What a command may call velocast-<word>: schedules and topics share their functions' names.
def names() -> set[str]:
    found: set[str] = {"velocast-mlflow"}
    for kind in ("functions", "jobs", "schedules", "secrets", "topics", "workflows"):
        entries: dict[str, Any] = yaml.safe_load(
            (rules.CONFIG / f"{kind}.yaml").read_text(encoding="utf-8")
        )
        found |= {f"velocast-{name}" if kind == "functions" else name for name in entries}
        found |= {
            entry["keep_subscription"]
            for entry in entries.values()
            if kind == "topics" and "keep_subscription" in entry
        }
    return found


@pytest.mark.parametrize("where", TEXTS)
def test_commands_of_google_name_what_exists(where: str) -> None:
    made_up = f"{rules.NAMES['serve_host']}|gs://{rules.NAMES['project']}-reports"
    lines = re.findall(
        r"^ *(?:gcloud|bq|curl) .*$", re.sub(made_up, "", TEXTS[where]), re.MULTILINE
    )
    named = {name for line in lines for name in re.findall(r"\bvelocast-[a-z-]+[a-z]", line)}
    assert named <= names()


def test_an_alerts_text_has_a_command() -> None:
    for name, alert in ALERTS.items():
        lines = re.findall(
            r"^    (?:\.venv/bin/velocast|gcloud|curl) .*$", alert.runbook, re.MULTILINE
        )
        assert lines, f"{name}: a runbook names the first command"


def test_the_numbers_that_a_page_names_exist() -> None:
    """Backticked words with an underscore are thresholds, parameters, settings or notes about records."""
    known = rules.values().keys() | {"alert_email", "unknown_fields", "max_instances"}
    for page in PAGES:
        words = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", page.read_text(encoding="utf-8")))
        assert words <= known, page.name
