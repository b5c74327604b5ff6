"""The snapshot that a serving process holds in memory, refreshed in the background when it gets old."""

from __future__ import annotations

import threading
import time

from velocast.adapters.gcs import Objects
from velocast.core import telemetry
from velocast.core.errors import EventError, ObjectMissing
from velocast.usecases.serving.lookup import Board, prepare
from velocast.usecases.snapshot_format import SNAPSHOT, loads

CHECK_SECONDS = 15.0
# While there is none, a request that finds one makes the difference between 503 and an answer.
CHECK_SECONDS_WITHOUT = 2.0
FIRST_LOAD_SECONDS = 10.0


class SnapshotHolder:
    """The newest snapshot. An old one is served until a newer one is ready, and when the bucket cannot be read."""

    def __init__(self, objects: Objects, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._objects = objects
        self._check_seconds = check_seconds
        self._lock = threading.Lock()
        self._board: Board | None = None
        self._generation = 0
        self._checked_at = float("-inf")
        self._refresher: threading.Thread | None = None

    @property
    def generation(self) -> int:
        """The generation of the snapshot in memory, 0 when there is none."""
        return self._generation

    def current(self) -> Board | None:
        """Return the snapshot in memory, and start a check for a newer one when the last is too long ago.

        Only the very first load is waited for, at most 10 s.
        """
        refresher = self._refresh_if_due()
        if self._board is None and refresher is not None:
            refresher.join(FIRST_LOAD_SECONDS)
        return self._board

    def refresh(self) -> None:
        """Take the snapshot over when the bucket holds another generation of it than memory does."""
        try:
            stored = self._objects.read_unless(SNAPSHOT, self._generation)
            if stored is not None:
                self._board, self._generation = prepare(loads(stored.data)), stored.generation
                telemetry.log("INFO", "snapshot loaded", generation=stored.generation)
        except ObjectMissing as exc:
            telemetry.log("WARNING", f"{exc}; predict publishes it", code=exc.code)
        except EventError as exc:  # what is in memory stays
            telemetry.log("ERROR", str(exc), code=exc.code)

    def _refresh_if_due(self) -> threading.Thread | None:
        with self._lock:
            if self._refresher is not None and self._refresher.is_alive():
                return self._refresher
            wait = self._check_seconds if self._board is not None else CHECK_SECONDS_WITHOUT
            if time.monotonic() - self._checked_at < min(wait, self._check_seconds):
                return None
            self._checked_at = time.monotonic()
            self._refresher = threading.Thread(target=self._run, name="snapshot", daemon=True)
            self._refresher.start()
            return self._refresher

    def _run(self) -> None:
        try:
            self.refresh()
        except Exception as exc:  # noqa: BLE001  the outermost handler of its thread: reports, and the next check tries again
            telemetry.log("ERROR", f"snapshot not read: {exc}", code=type(exc).__name__)
