"""What an Opendatasoft API answers when it has no records to give, and where one record of a stream ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import httpx

from velocast.core.errors import CityError, CityRefused, CityTruncated, CityUnreachable

INTERRUPTED = b"Streaming interrupted"
SHOWN = 200  # characters of an unexpected answer that an error quotes


class TooManyRequests(CityUnreachable):
    """429: the API itself says when to come back, so nobody asks again before."""


def failure(answer: httpx.Response) -> CityError:
    """Return the error that an answer other than 200 stands for: 429 and 5xx are CityUnreachable, else CityRefused."""
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return TooManyRequests(
            f"{_place(answer)}: 429, too many requests; the API takes requests again at {_reset_time(answer)}"
        )
    if answer.is_server_error:
        return CityUnreachable(unexpected(answer, "records"))
    return CityRefused(unexpected(answer, "records"))


def _reset_time(answer: httpx.Response) -> str:
    try:
        told = answer.json()["reset_time"]
    except (ValueError, KeyError, TypeError):
        told = answer.headers.get("x-ratelimit-reset") or answer.headers.get("retry-after")
    return str(told or "a time it does not name")


def unexpected(answer: httpx.Response, wanted: str) -> str:
    """Say what came from where in place of `wanted`, quoting the API's own message when it has one."""
    try:
        body = answer.json()
        text = str(body.get("message") or body.get("error") or answer.text)
    except (ValueError, AttributeError):
        text = answer.text
    kind = answer.headers.get("content-type", "no content type")
    return f"{_place(answer)}: {answer.status_code} ({kind}), needs {wanted}: {text[:SHOWN]!r}"


def _place(answer: httpx.Response) -> str:
    # without the query: a key may be in it one day
    return str(answer.url.copy_with(query=None))


def json_lines(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Cut a body at line feeds and only there: JSON may hold other line separators.

    Raises CityTruncated at the text that the API writes where its stream broke, CityRefused for a page of HTML.
    """
    first = True
    for line in filter(bytes.strip, _split(chunks)):
        if INTERRUPTED in line and not _is_json(line):
            found = line[line.index(INTERRUPTED) :][:SHOWN].decode("utf-8", "replace")
            raise CityTruncated(f"{name}: the export broke off: {found!r}; fetch the window again")
        if first and line.lstrip().startswith(b"<"):
            raise CityRefused(
                f"{name}: a page of HTML came instead of JSON lines: {line[:SHOWN]!r}"
            )
        first = False
        yield line


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
