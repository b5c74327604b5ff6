"""Simulated time: a moment kept in a file, which stands still until it is moved."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from gcp_emulators.core.times import parse_instant, rfc3339

_NEVER_SET = "(never set)"


class ClockRefused(ValueError):
    """The clock was asked to go back: what was already published would then lie in the future."""


class Clock:
    """Simulated `now`, shared by all processes that open the same file.

    A new file starts at the machine's own time, cut to the hour, and may be set to any moment once. From then on the
    clock goes forward only, and only when `set` moves it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            self._write(f"{rfc3339(now)} {_NEVER_SET}")

    def now(self) -> datetime:
        """Return where the clock stands, in UTC."""
        return parse_instant(self._read().partition(" ")[0])

    def set(self, moment: datetime, *, force: bool = False) -> datetime:
        """Move the clock forward to an aware `moment` and return it in UTC.

        Raises ClockRefused for a naive moment, or an earlier one unless `force` is given.
        """
        if moment.tzinfo is None:
            raise ClockRefused(f"clock: {moment} has no zone; give one with tzinfo")
        standing = self.now()
        if moment < standing and not force and not self._read().endswith(_NEVER_SET):
            raise ClockRefused(
                f"clock: stands at {rfc3339(standing)}, asked to go back to {rfc3339(moment)}; "
                "begin with an empty folder, or force it"
            )
        self._write(rfc3339(moment))
        return moment.astimezone(UTC)

    def _read(self) -> str:
        return self._path.read_text(encoding="utf-8").strip()

    def _write(self, text: str) -> None:
        # Other processes read at any time: they must see the old moment or the new one, never half of it.
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._path)
