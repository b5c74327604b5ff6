"""What a check finds."""

from __future__ import annotations

from typing import Literal

from velocast.core.requests import Message

Repair = Literal[
    "add_column",
    "restore_artifact",
    "heal_split",
    "release_lease",
    "run_fetch",
    "run_predict",
    "back_up",
]
FindingKind = Literal["fault", "unknown"]


class Finding(Message):
    """One thing that is wrong (`fault`) or could not be checked (`unknown`).

    check: name of the check; subject: what it is about; found: what was found, beside what was expected; meaning: what
    follows from it; command: what fixes it; repair: what `--fix` does about it, None if nothing is safe; fixed: `--fix`
    has fixed it.
    """

    check: str
    kind: FindingKind = "fault"
    subject: str
    found: str
    meaning: str
    command: str
    repair: Repair | None = None
    fixed: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What tells findings apart."""
        return self.check, self.subject


def unknown(check: str, subject: str, error: Exception, command: str) -> Finding:
    """Return the finding for what could not be checked because of an error."""
    return Finding(
        check=check,
        kind="unknown",
        subject=subject,
        found=f"{type(error).__name__}: {one_line(str(error))}",
        meaning="This could not be checked, so it may be in order or not.",
        command=command,
    )


def one_line(text: str, most: int = 200) -> str:
    """Return a text on one line, cut to `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."
