"""A simulated clock: a time kept in a file, which changes only when it is set."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from gcp_emulators.core.times import parse_instant, rfc3339

_NEVER_SET = "(never set)"


class ClockRefused(ValueError):
    """The clock cannot be set to that time: messages already published would lie in the future, or it has no zone."""


class Clock:
    """Simulated time, shared by all processes that open the same file.

    A new file starts at the machine's time, rounded down to the hour, and can be set to any time once. After that the
    clock moves only forward, and only when `set` is called.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            self._write(f"{rfc3339(now)} {_NEVER_SET}")

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        return parse_instant(self._read().partition(" ")[0])

    def set(self, moment: datetime, *, force: bool = False) -> datetime:
        """Move the clock forward to an aware `moment` and return it in UTC.

        Raises ClockRefused for a naive `moment`, and for an earlier one unless `force` is given.
        """
        if moment.tzinfo is None:
            raise ClockRefused(f"clock: {moment} has no zone; give one with tzinfo")
        current = self.now()
        if moment < current and not force and not self._read().endswith(_NEVER_SET):
            raise ClockRefused(
                f"clock: it is {rfc3339(current)} and cannot go back to {rfc3339(moment)}; "
                "start with an empty folder, or set force"
            )
        self._write(rfc3339(moment))
        return moment.astimezone(UTC)

    def _read(self) -> str:
        return self._path.read_text(encoding="utf-8").strip()

    def _write(self, text: str) -> None:
        # Other processes read at any time: they must see the old time or the new one, never a part of it.
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._path)
