"""Who may ask, and how often: API keys from a mounted file, and a moving window of requests for each key."""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from velocast.core import telemetry
from velocast.core.errors import SettingsError
from velocast.usecases.serving.problems import Refused

WINDOW_SECONDS = 60
# A secret mounted as a volume may change without its file's time changing, so it is read again after this long.
REREAD_SECONDS = 60.0
NO_KEY = "No X-API-Key header; send the key you were given in it."
WRONG_KEY = "This X-API-Key is not known; ask the operator for one, or check it for a cut end."


@dataclass(frozen=True)
class _Key:
    name: str
    digest: bytes


class KeyFile:
    """The API keys of a file, one `name:key` a line (`#` begins a comment); read again when the file changes."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises SettingsError when it cannot be read or holds no key."""
        self._path = path
        self._lock = threading.Lock()
        self._keys = _read(path)
        self._stamp = _stamp(path)
        self._read_at = time.monotonic()

    def name_of(self, given: str) -> str | None:
        """Return the name of a key, None when there is no such key.

        All keys are compared, by digests of one length, so the time taken tells nothing about any of them.
        """
        self._reread_if_changed()
        digest = _digest(given)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.name
        return found

    def _reread_if_changed(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp and time.monotonic() - self._read_at < REREAD_SECONDS:
            return
        with self._lock:
            self._stamp, self._read_at = stamp, time.monotonic()
            try:
                self._keys = _read(self._path)
            except SettingsError as exc:  # the keys known so far stay good
                telemetry.log("ERROR", str(exc), code=exc.code)


class Limiter:
    """At most `per_minute` requests of one key in any 60 seconds, counted in this process."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._per_minute = per_minute

    def take(self, name: str, now: datetime) -> dict[str, str]:
        """Count one request and return the RateLimit headers of its answer. Raises Refused (429) over the limit.

        now: the time of the request, from which the seconds until the window frees are told.
        """
        allowed = self._window.hit(self._item, name)
        reset_at, remaining = self._window.get_window_stats(self._item, name)
        # The library stamps its entries with the wall clock, whatever clock `now` is.
        seconds = min(WINDOW_SECONDS, max(1, math.ceil(reset_at - now.timestamp())))
        headers = {
            "RateLimit-Policy": f'"key";q={self._per_minute};w={WINDOW_SECONDS}',
            "RateLimit": f'"key";r={remaining};t={seconds}',
        }
        if allowed:
            return headers
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"More than {self._per_minute} requests in {WINDOW_SECONDS} s with this key; "
            f"wait {seconds} s, or ask for many records in one POST /v1/predict.",
            headers | {"Retry-After": str(seconds)},
        )


def authenticate(keys: KeyFile, given: str | None) -> str:
    """Return the name behind a key. Raises Refused: 401 without a key, 403 with a wrong one."""
    if not given:
        headers = {"WWW-Authenticate": 'ApiKey realm="velocast", header="X-API-Key"'}
        raise Refused(HTTPStatus.UNAUTHORIZED, NO_KEY, headers)
    name = keys.name_of(given)
    if name is None:
        raise Refused(HTTPStatus.FORBIDDEN, WRONG_KEY)
    return name


def _read(path: Path) -> tuple[_Key, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(
            f"VELOCAST_API_KEYS_FILE: cannot read {path} ({type(exc).__name__}); mount the secret there"
        ) from exc
    keys = tuple(key for number, line in enumerate(lines, 1) if (key := _parse(path, number, line)))
    if not keys:
        raise SettingsError(
            f"VELOCAST_API_KEYS_FILE: {path} holds no key; write one `name:key` a line"
        )
    return keys


def _parse(path: Path, number: int, line: str) -> _Key | None:
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    name, colon, key = (part.strip() for part in text.partition(":"))
    if not (name and colon and key):
        telemetry.log("ERROR", f"{path}: line {number} is not `name:key`; it is left out")
        return None
    return _Key(name, _digest(key))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8")).digest()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
