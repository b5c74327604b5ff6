"""One answer taken apart: lines, messages, and when to come back."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest

from velocast.adapters.http_answer import HttpAnswer, TooLong, retry_after_seconds, split_lines


class Chunk(bytes):
    """Bytes that count how many of them were searched for a line's end."""

    searched = 0

    def split(self, *args: Any) -> list[bytes]:
        Chunk.searched += len(self)
        return super().split(*args)


class TestSplitLines:
    def test_as_bytes_split_wherever_the_chunks_end(self) -> None:
        draw = random.Random(3)
        for _ in range(200):
            body = bytes(draw.choices(b"a\n\r\x85", k=draw.randrange(40)))
            cuts = sorted(draw.choices(range(len(body) + 1), k=draw.randrange(6)))
            chunks = [
                body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)
            ]
            assert list(split_lines(chunks, 100)) == body.split(b"\n")

    @pytest.mark.parametrize("size", [1, 1000])
    def test_every_byte_is_searched_once(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Chunk, "searched", 0)
        total = 100_000

        (line,) = split_lines((Chunk(b"x" * size) for _ in range(total // size)), total)

        assert len(line) == total
        assert Chunk.searched == total

    @pytest.mark.parametrize(
        "chunks",
        [
            [b"12345"],
            [b"123", b"45"],
            [b"12345\n1"],
            [b"1\n12345\n1"],
            [b"1\n12345"],
            [b"1\n", b"12345"],
        ],
    )
    def test_a_line_beyond_the_limit(self, chunks: list[bytes]) -> None:
        with pytest.raises(TooLong, match="more than 4 bytes"):
            list(split_lines(chunks, 4))
        assert list(split_lines(chunks, 5)) == b"".join(chunks).split(b"\n")


class TestHttpAnswer:
    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            ({"message": "no such field", "error_code": "ODSQLError"}, "no such field"),
            ({"error": True, "reason": "out of range"}, "out of range"),
            ({"error": "too many"}, "too many"),
            ({"error": {"code": 400, "message": "invalid token"}}, "invalid token"),
            ({"error": {"code": 400}}, '{"error": {"code": 400}}'),
            ({"message": None}, '{"message": null}'),
            ([1], "[1]"),
        ],
    )
    def test_quotes_the_servers_own_message(self, body: Any, shown: str) -> None:
        answer = HttpAnswer("http://a/b", 400, httpx.Headers(), json.dumps(body).encode())
        assert answer.unexpected("records") == (
            f"http://a/b: 400 (no content type), needs records: {shown!r}"
        )

    @pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff" * 300])
    def test_quotes_the_beginning_of_anything_else(self, body: bytes) -> None:
        headers = httpx.Headers({"content-type": "text/html"})
        text = HttpAnswer("http://a/b", 200, headers, body).unexpected("records")
        assert text.endswith(repr(body.decode("utf-8", "replace")[:200]))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": " 12 "}, 12.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Mon, 10 Mar 2025 02:00:07 GMT"}, None),
        ({"retry-after": "Mon, 10 Mar 2025 02:00:07 GMT", "date": "?"}, None),
        (
            {
                "retry-after": "Mon, 10 Mar 2025 02:00:07 GMT",
                "date": "Mon, 10 Mar 2025 02:00:00 GMT",
            },
            7.0,
        ),
        (
            {
                "retry-after": "Mon, 10 Mar 2025 02:00:00 GMT",
                "date": "Mon, 10 Mar 2025 02:00:09 GMT",
            },
            0.0,
        ),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(httpx.Headers(headers)) == seconds
