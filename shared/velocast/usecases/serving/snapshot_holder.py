"""The snapshot that a serving process keeps in memory and refreshes in the background."""

from __future__ import annotations

import threading
import time

from velocast.adapters.gcs import Objects
from velocast.core import telemetry
from velocast.core.errors import EventError, ObjectMissing
from velocast.usecases.serving.snapshot_index import SnapshotIndex, build_index
from velocast.usecases.snapshot_format import SNAPSHOT, loads

CHECK_SECONDS = 15.0
# Without a snapshot every request gets 503, so check more often.
CHECK_SECONDS_WITHOUT = 2.0
FIRST_LOAD_SECONDS = 10.0
# Between requests an instance may have no CPU, so nothing checks. A request after such a pause waits for the check:
# most need a tenth of a second, and one with a new snapshot half a second.
PAUSE_SECONDS = 60.0
CHECK_AFTER_PAUSE_SECONDS = 2.0
UNREADABLE = "The published forecasts cannot be read, and the error was logged. {}"
UNREACHABLE = (
    "The storage of the forecasts cannot be reached at the moment, and the error was logged. "
    "Try again later."
)


class SnapshotHolder:
    """The newest snapshot. The old one is served until the new one is ready, and while the bucket is unreadable."""

    def __init__(self, objects: Objects, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._objects = objects
        self._check_seconds = check_seconds
        self._lock = threading.Lock()
        self._index: SnapshotIndex | None = None
        self._generation = 0
        self._checked_at = float("-inf")
        self._ended_at = float("-inf")
        self._wait_until = float("-inf")
        self._confirmed_at = float("-inf")
        self._trouble: str | None = None
        self._refresher: threading.Thread | None = None

    @property
    def generation(self) -> int:
        """The generation of the snapshot in memory, 0 when there is none."""
        return self._generation

    @property
    def trouble(self) -> str | None:
        """Why the last check found no snapshot that can be used; None if it found one, or none is published."""
        return self._trouble

    @property
    def is_current(self) -> bool:
        """Whether `current` returns a snapshot at once, without waiting for a check."""
        now = time.monotonic()
        return self._index is not None and now - self._ended_at < PAUSE_SECONDS

    @property
    def age_seconds(self) -> float | None:
        """Seconds since a check found that the snapshot in memory is the newest; None without a snapshot."""
        return None if self._index is None else time.monotonic() - self._confirmed_at

    def current(self) -> SnapshotIndex | None:
        """Return the snapshot in memory, and start a check for a newer one when the last check is too long ago.

        Waits only for the very first load, at most 10 s, and for the first check after a pause, at most 2 s.
        """
        refresher = self._refresh_if_due()
        if refresher is not None:
            seconds = self._wait_until - time.monotonic()
            refresher.join(FIRST_LOAD_SECONDS if self._index is None else max(0.0, seconds))
        return self._index

    def refresh(self) -> None:
        """Load the snapshot if the bucket has another generation than memory."""
        try:
            stored = self._objects.read_unless(SNAPSHOT, self._generation)
            if stored is not None:
                self._index, self._generation = build_index(loads(stored.data)), stored.generation
                telemetry.log("INFO", "snapshot loaded", generation=stored.generation)
            self._confirmed_at, self._trouble = time.monotonic(), None
        except ObjectMissing as exc:
            self._trouble = None
            telemetry.log("WARNING", f"{exc}; run predict to publish it", code=exc.code)
        except EventError as exc:  # the snapshot in memory is kept
            self._trouble = UNREADABLE.format(exc)
            telemetry.log("ERROR", str(exc), code=exc.code)

    def _refresh_if_due(self) -> threading.Thread | None:
        with self._lock:
            if self._refresher is not None and self._refresher.is_alive():
                return self._refresher
            wait = self._check_seconds if self._index is not None else CHECK_SECONDS_WITHOUT
            if time.monotonic() - self._checked_at < min(wait, self._check_seconds):
                return None
            self._checked_at = time.monotonic()
            if self._checked_at - self._ended_at > PAUSE_SECONDS:
                self._wait_until = self._checked_at + CHECK_AFTER_PAUSE_SECONDS
            self._refresher = threading.Thread(target=self._run, name="snapshot", daemon=True)
            self._refresher.start()
            return self._refresher

    def _run(self) -> None:
        try:
            self.refresh()
        except Exception as exc:  # noqa: BLE001  the outermost handler of its thread: reports, and the next check tries again
            self._trouble = UNREACHABLE
            telemetry.log("ERROR", f"snapshot not read: {exc}", code=type(exc).__name__)
        finally:
            self._ended_at = time.monotonic()
