"""A DuckDB connection for each thread, so that statements of bqemulator 1.4 can run side by side.

It has one connection for the whole process: a statement in one thread replaced the result that another was about to
fetch, and nothing was answered while a statement ran.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from bqemulator.domain.errors import InternalError
from bqemulator.storage.engine import DuckDBEngine

if TYPE_CHECKING:
    import duckdb

_LOCK_POLL_SECONDS = 0.002
_THREAD = threading.local()
_WRITING = threading.Lock()


def connect_each_thread(prepare: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
    """Give every thread but the main one a connection of its own, at first use; call it before bqemulator starts.

    prepare: makes in a new connection what DuckDB keeps for each connection.
    """

    def connection(self: DuckDBEngine) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise InternalError("DuckDBEngine not started")
        if threading.current_thread() is threading.main_thread():
            return self._connection
        own: duckdb.DuckDBPyConnection | None = getattr(_THREAD, "connection", None)
        if own is None:
            own = _THREAD.connection = self._connection.cursor()
            own.execute("SET TimeZone = 'UTC'")
            prepare(own)
        return own

    @asynccontextmanager
    async def write_lock(_self: DuckDBEngine) -> AsyncIterator[None]:
        # asyncio's lock serves one event loop, and each job has its own.
        while not _WRITING.acquire(blocking=False):
            await asyncio.sleep(_LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            _WRITING.release()

    DuckDBEngine.connection = property(connection)  # type: ignore[method-assign, assignment]
    DuckDBEngine.write_lock = write_lock  # type: ignore[method-assign, assignment]


@contextmanager
def own_connection(engine: DuckDBEngine) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a new connection that is this thread's while the block runs; its temporary tables end with it."""
    _THREAD.connection = None
    with engine.connection as made:
        try:
            yield made
        finally:
            _THREAD.connection = None
