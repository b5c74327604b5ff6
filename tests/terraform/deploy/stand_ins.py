"""Programs named terraform and gcloud that answer as a test says, and note how they were called."""

from __future__ import annotations

import json
import marshal
import re
import sys
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A test starts a dozen of them: without json and pathlib, each takes half the time.
PROGRAM = """#!{python} -SE
import marshal, os, re, sys
os.chdir({folder!r})
call = " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
given = sys.stdin.read() if " cp - " in call else ""
with open("calls", "a") as calls:
    calls.write(repr((call, given)) + "\\n")
with open("answers", "rb") as file:
    answers = marshal.load(file)
for number, (pattern, said, failures) in enumerate(answers):
    if re.search(pattern, call):
        with open(f"count-{{number}}", "a+") as count:
            before = count.tell()
            count.write(".")
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

    def _noted(self) -> list[tuple[str, str]]:
        noted = self.folder / "calls"
        return (
            [literal_eval(line) for line in noted.read_text().splitlines()]
            if noted.exists()
            else []
        )

    def _write(self) -> None:
        for count in self.folder.glob("count-*"):
            count.unlink()
        (self.folder / "answers").write_bytes(marshal.dumps(self.answers))
