"""The one server of the imitated portals, and one TLS context for all clients."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import httpx
import pytest
from httpx._transports import default as httpx_transports

from tests.shared.adapters.city_sources.transports.imitation import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A server on the loopback address; `stage.show(portal)` puts a portal behind it."""
    stage = Stage()
    with stage.server:
        yield stage


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """Read the certificates once, not for each of a hundred clients, none of which uses TLS: it takes 60 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx_transports, "create_ssl_context", cache(httpx.create_ssl_context))
        yield
