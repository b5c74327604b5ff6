"""Authentication and rate limits: API keys from a mounted file, and a moving window of requests for each key."""

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
from typing import NoReturn

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from velocast.core import telemetry
from velocast.core.errors import SettingsError
from velocast.usecases.serving.problems import RequestRefused

WINDOW_SECONDS = 60
# A mounted secret may change while its file's time stays the same, so the file is read again after this long.
REREAD_SECONDS = 60.0
NO_KEY = "The X-API-Key header is missing; send your API key in it."
WRONG_KEY = "Unknown API key; check that it was pasted in full, or ask the operator for a key."
TOO_MANY_WRONG_KEYS = (
    "Too many requests with unknown API keys; check yours, and try again in a minute."
)


@dataclass(frozen=True)
class _Key:
    name: str
    digest: bytes


class KeyFile:
    """The API keys in a file, one `name:key` per line (`#` starts a comment); read again when the file changes."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises SettingsError when it cannot be read or contains no key."""
        self._path = path
        self._lock = threading.Lock()
        self._keys = _read(path)
        self._stamp = _stamp(path)
        self._read_at = time.monotonic()

    def name_of(self, given: str) -> str | None:
        """Return the name of a key, None when there is no such key.

        All keys are compared, as digests of equal length, so that the response time reveals nothing about them.
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
            except SettingsError as exc:  # the keys read before stay valid
                telemetry.log("ERROR", str(exc), code=exc.code)


class Limiter:
    """At most `per_minute` requests of one key in any 60 seconds, counted in this process."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._per_minute = per_minute

    def take(self, name: str, now: datetime) -> dict[str, str]:
        """Count one request and return its RateLimit headers. Raises RequestRefused (429) over the limit.

        now: the time of the request, used for the seconds until the limit resets.
        """
        allowed = self._window.hit(self._item, name)
        reset_at, remaining = self._window.get_window_stats(self._item, name)
        # The library times its entries by the system clock, whatever clock `now` comes from.
        seconds = min(WINDOW_SECONDS, max(1, math.ceil(reset_at - now.timestamp())))
        headers = {
            "RateLimit-Policy": f'"key";q={self._per_minute};w={WINDOW_SECONDS}',
            "RateLimit": f'"key";r={remaining};t={seconds}',
        }
        if allowed:
            return headers
        raise RequestRefused(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"More than {self._per_minute} requests in {WINDOW_SECONDS} s with this key; "
            f"wait {seconds} s, or send many records in one POST /v1/predict.",
            headers | {"Retry-After": str(seconds)},
        )


class WrongKeys:
    """At most `per_minute` refusals with an unknown key in any 60 seconds, of all clients together.

    They are not counted by client, because a guesser can change its address. Known keys are not affected.
    """

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def refuse(self) -> NoReturn:
        """Raise RequestRefused: 403, or 429 over the limit."""
        if self._window.hit(self._item, "wrong"):
            raise RequestRefused(HTTPStatus.FORBIDDEN, WRONG_KEY)
        headers = {"Retry-After": str(WINDOW_SECONDS)}
        raise RequestRefused(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY_WRONG_KEYS, headers)


def authenticate(keys: KeyFile, wrong_keys: WrongKeys, given: str | None) -> str:
    """Return the name of a key. Raises RequestRefused: 401 without a key, 403 or 429 with an unknown one."""
    if not given:
        headers = {"WWW-Authenticate": 'ApiKey realm="velocast", header="X-API-Key"'}
        raise RequestRefused(HTTPStatus.UNAUTHORIZED, NO_KEY, headers)
    name = keys.name_of(given)
    if name is None:
        wrong_keys.refuse()
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
            f"VELOCAST_API_KEYS_FILE: {path} contains no key; write one `name:key` per line"
        )
    return keys


def _parse(path: Path, number: int, line: str) -> _Key | None:
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    name, colon, key = (part.strip() for part in text.partition(":"))
    if not (name and colon and key):
        telemetry.log("ERROR", f"{path}: line {number} is not `name:key` and is ignored")
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
