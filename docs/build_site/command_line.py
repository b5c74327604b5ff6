"""The page of the command `velocast`, from the command's own help."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

INTRODUCTION = """\
This page is generated from the command's own help. The command is installed in `.venv/bin` by any make target.
"""


def write(page: Path) -> None:
    """Write the page. A process of its own keeps the command's imports away from the builder."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "velocast_cli.main", "utils", "docs", "--name", "velocast"],
        capture_output=True,
        text=True,
        check=True,
    )
    page.write_text(laid_out(done.stdout), encoding="utf-8")


def laid_out(help_text: str) -> str:
    """Return Typer's Markdown as a page: a title of its own, plain headings, whole summaries of commands."""
    text = re.sub(r"^(#+) `(.*)`$", r"\1 \2", help_text, flags=re.MULTILINE)
    summaries = dict(re.findall(r"^#+ (velocast .*)\n\n(.+)$", text, flags=re.MULTILINE))
    lines, heading = [], "velocast"
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        command = re.match(r"\* `(\w+)`", line)
        if command and (summary := summaries.get(f"{heading} {command[1]}")):
            anchor = f"{heading} {command[1]}".replace(" ", "-")
            line = f"* [{command[1]}](#{anchor}): {summary}"
        lines.append(line)
    return "\n".join(lines).replace("# velocast\n", f"# Command line\n\n{INTRODUCTION}", 1) + "\n"
