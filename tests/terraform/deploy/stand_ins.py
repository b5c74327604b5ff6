"""Programs named terraform and gcloud that answer as a test says, and note how they were called."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = """#!{python} -SE
import json, pathlib, re, sys
folder = pathlib.Path({folder!r})
call = " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])
given = sys.stdin.read() if " cp - " in call else ""
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([call, given]) + "\\n")
answers = json.loads((folder / "answers.json").read_text())
for number, (pattern, said, failures) in enumerate(answers):
    if re.search(pattern, call):
        count = folder / f"count-{{number}}"
        before = int(count.read_text()) if count.exists() else 0
        count.write_text(str(before + 1))
        if before < failures:
            sys.exit("refused: the account does not exist yet")
        sys.stdout.write(said)
        sys.exit(0)
"""
ALWAYS = 1000


@dataclass
class StandIns:
    """The programs in `folder`. An answer: a pattern of the command, what it prints, how often it fails first."""

    folder: Path
    answers: list[tuple[str, str, int]] = field(default_factory=list)

    def install(self) -> None:
        """Write the programs."""
        for name in ("terraform", "gcloud"):
            file = self.folder / name
            file.write_text(PROGRAM.format(python=sys.executable, folder=str(self.folder)))
            file.chmod(0o755)
        self._write()

    def answer(
        self, pattern: str, said: str | Mapping[str, Any] = "", *, failures: int = 0
    ) -> None:
        """Answer commands that match; the newest matching answer holds."""
        text = said if isinstance(said, str) else json.dumps(said)
        self.answers.insert(0, (pattern, text, failures))
        self._write()

    def fail(self, pattern: str) -> None:
        """Fail commands that match, always."""
        self.answer(pattern, failures=ALWAYS)

    def calls(self, pattern: str = "") -> list[str]:
        """The commands that were run and match, in order."""
        return [call for call, _ in self._noted() if re.search(pattern, call)]

    def given(self, pattern: str) -> str:
        """What the last matching command got on its standard input."""
        return next(given for call, given in reversed(self._noted()) if re.search(pattern, call))

    def _noted(self) -> list[list[str]]:
        noted = self.folder / "calls"
        return (
            [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []
        )

    def _write(self) -> None:
        for count in self.folder.glob("count-*"):
            count.unlink()
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
