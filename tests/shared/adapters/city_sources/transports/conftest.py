"""The one server of the imitated portals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shared.adapters.city_sources.transports.imitation import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A server on the loopback address; `stage.show(portal)` puts a portal behind it."""
    stage = Stage()
    with stage.server:
        yield stage
