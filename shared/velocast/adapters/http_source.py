"""What all sources that are read over HTTP have in common, whatever their API: cities and weather services.

A subclass asks its API inside `ask`, which tries again where that can help. `opened` gives an answer with status 200,
and `read` and `lines` its body. Whatever goes wrong on the way becomes one of the subclass's own errors.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, NoReturn, Self, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_exponential,
    wait_random,
)

from velocast.adapters.http_answer import (
    HttpAnswer,
    TooLong,
    place_of,
    read_whole,
    retry_after_seconds,
    split_lines,
)
from velocast.adapters.http_client import Deadline, OutOfTime, open_client
from velocast.core.errors import VelocastError
from velocast.core.telemetry import log

PROJECT_URL = "https://github.com/velocast/velocast"
TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # seconds of silence; Limits has the overall bounds
CANNOT_CONNECT = (httpx.ConnectError, httpx.ConnectTimeout)

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class SourceErrors:
    """The errors of one kind of source.

    unreachable: no answer, 202 (not ready yet), 429 or 5xx. truncated: an answer that ended early or was given up.
    refused: any other answer than 200.
    """

    unreachable: type[VelocastError]
    truncated: type[VelocastError]
    refused: type[VelocastError]


@dataclass(frozen=True)
class Limits:
    """How long a source is waited for, how much it may send, and how it is asked again.

    answer_seconds: one answer, from the connection to its last byte. total_seconds: all that is asked of one opened
    source, with every retry and pause. line_bytes: one line of a stream. body_bytes: a body that is read whole.
    The n-th pause is first_pause_seconds * pause_factor ** (n - 1) plus up to jitter_seconds, or what Retry-After
    asks for if that is more. The source is not asked again if it asks for more than longest_pause_seconds.
    """

    answer_seconds: float
    total_seconds: float
    line_bytes: int = 1_000_000
    body_bytes: int = 50_000_000
    tries: int = 3
    first_pause_seconds: float = 1.0
    pause_factor: float = 4.0
    jitter_seconds: float = 0.5
    longest_pause_seconds: float = 30.0


class BadStatus(Exception):
    """An answer other than 200: the cause of the error that a source raises for it.

    wait_seconds: what its Retry-After header asks for; None without one.
    """

    def __init__(self, status: int, wait_seconds: float | None) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.wait_seconds = wait_seconds


class HttpSource:
    """One source, for one thread; leave it by `with`, which closes its connections.

    name: what errors and logs call it. sleep waits so many seconds; clock gives seconds and never goes back.
    """

    errors: ClassVar[SourceErrors]
    needs: ClassVar[str]  # what a good answer holds, for messages: "records"
    setting: ClassVar[str]  # where in the city's file its address is
    purpose: ClassVar[str]  # how often it is asked and for what, for the User-Agent header

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.limits = limits
        self._sleep = sleep
        self._clock = clock
        self._spent = 0.0  # seconds of total_seconds, in earlier questions
        self._ends = math.inf  # when total_seconds are used up
        self._deadline = Deadline(clock)
        user_agent = f"velocast (+{PROJECT_URL}; {self.purpose})"
        self._client = open_client(
            self._deadline, user_agent=user_agent, timeout=TIMEOUT, follow_redirects=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, question: Callable[[], AnswerT]) -> AnswerT:
        """Return what `question` returns; it is asked again, with growing pauses, after a retryable error.

        Raises the last try's error. 429 is retried only if it says when, within longest_pause_seconds.
        """
        started = self._clock()
        self._ends = started + self.limits.total_seconds - self._spent
        retrying = Retrying(
            sleep=self._sleep,
            stop=self._was_last_try,
            wait=self._pause,
            retry=retry_if_exception(self._may_help),
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            return retrying(question)
        finally:
            self._spent += self._clock() - started

    @contextmanager
    def opened(self, urls: Sequence[str], params: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Send a GET to the first of `urls` that accepts a connection; give its answer, which has status 200.

        The body is still to come: pass the answer to `read` or `lines`. Raises the source's own errors, also for what
        goes wrong while the body is read.
        """
        with self._connected(urls, params) as answer:
            try:
                if answer.status_code != httpx.codes.OK:
                    self._raise_status(self.read(answer))
                yield answer
            except OutOfTime as exc:
                raise self.errors.truncated(self._late(place_of(answer.url), exc)) from exc
            except httpx.RequestError as exc:
                raise self.errors.truncated(
                    f"{place_of(answer.url)}: the answer broke off: {exc!r}; ask again"
                ) from exc

    def read(self, answer: httpx.Response) -> HttpAnswer:
        """Read a body to its end. Raises the source's truncated error when it has more than limits.body_bytes."""
        try:
            return read_whole(answer, self.limits.body_bytes)
        except TooLong as exc:
            self._raise_too_long("the answer", answer, exc)

    def lines(self, answer: httpx.Response) -> Iterator[bytes]:
        """Cut a body into lines while it arrives. Raises the truncated error for one beyond limits.line_bytes."""
        try:
            yield from split_lines(answer.iter_bytes(), self.limits.line_bytes)
        except TooLong as exc:
            self._raise_too_long("one line of the answer", answer, exc)

    def describe_too_many(self, answer: HttpAnswer) -> str:
        """Return the message for a 429."""
        return answer.unexpected("fewer requests")

    @contextmanager
    def _connected(
        self, urls: Sequence[str], params: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """Ask the first address that can be connected to. Another one is tried for no other reason."""
        self._start_deadline()
        failures = []
        for url in urls:
            # httpx takes an address's own query away for any params, even for none of them
            request = self._client.build_request("GET", url, params=params or None)
            try:
                answer = self._client.send(request, stream=True)
            except CANNOT_CONNECT as exc:
                failures.append(f"{url}: {exc}")
                continue
            except OutOfTime as exc:
                raise self.errors.unreachable(self._late(url, exc)) from exc
            except httpx.RequestError as exc:
                raise self.errors.unreachable(
                    f"{url}: no answer: {exc!r}; check {self.setting} in the city's file under cities/"
                ) from exc
            try:
                yield answer
            finally:
                answer.close()
            return
        raise self.errors.unreachable(
            f"{self.name}: no answer: none of its addresses can be connected to: {'; '.join(failures)}; "
            f"check {self.setting} in the city's file under cities/"
        )

    def _start_deadline(self) -> None:
        left = self._ends - self._clock()
        if left <= 0:
            raise self.errors.unreachable(
                f"{self.name}: the {self.limits.total_seconds:g} s allowed for one run are used up; "
                "fetch again, with a shorter time range (since, until) if it happens again"
            )
        self._deadline.start(min(self.limits.answer_seconds, left))

    def _late(self, place: str, exc: OutOfTime) -> str:
        return (
            f"{self.name}: {place}: the answer was not complete within {exc.seconds:.3g} s; "
            "fetch again, with a shorter time range (since, until) if it happens again"
        )

    def _raise_too_long(self, what: str, answer: httpx.Response, exc: TooLong) -> NoReturn:
        raise self.errors.truncated(
            f"{self.name}: {place_of(answer.url)}: {what} is longer than {exc.limit:,} bytes, so it was given up; "
            f"check that this address serves {self.needs}"
        ) from exc

    def _raise_status(self, answer: HttpAnswer) -> NoReturn:
        cause = BadStatus(answer.status, retry_after_seconds(answer.headers))
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            raise self.errors.unreachable(self.describe_too_many(answer)) from cause
        not_ready = answer.status == httpx.codes.ACCEPTED
        failed = (
            self.errors.unreachable
            if not_ready or httpx.codes.is_server_error(answer.status)
            else self.errors.refused
        )
        raise failed(answer.unexpected(self.needs)) from cause

    def _may_help(self, error: BaseException) -> bool:
        """Return whether asking again may help."""
        if not isinstance(error, VelocastError) or not error.retryable:
            return False
        wait = _asked_wait(error)
        if wait is None:
            cause = error.__cause__
            return not (
                isinstance(cause, BadStatus) and cause.status == httpx.codes.TOO_MANY_REQUESTS
            )
        return wait <= self.limits.longest_pause_seconds

    def _pause(self, state: RetryCallState) -> float:
        limits = self.limits
        own = wait_exponential(
            multiplier=limits.first_pause_seconds,
            exp_base=limits.pause_factor,
            max=limits.longest_pause_seconds,
        ) + wait_random(0, limits.jitter_seconds)
        return max(own(state), _asked_wait(_error_of(state)) or 0.0)

    def _was_last_try(self, state: RetryCallState) -> bool:
        no_time_left = self._clock() + state.upcoming_sleep >= self._ends
        return no_time_left or state.attempt_number >= self.limits.tries

    def _log_retry(self, state: RetryCallState) -> None:
        error = _error_of(state)
        code = error.code if isinstance(error, VelocastError) else ""
        message = f"asking {self.name} again in {state.upcoming_sleep:.1f} s: {error}"
        log("WARNING", message, code=code)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _asked_wait(error: BaseException | None) -> float | None:
    """Return the seconds that the server asked to wait; None if it did not."""
    cause = error.__cause__ if error else None
    return cause.wait_seconds if isinstance(cause, BadStatus) else None
