"""What an event of the topic velocast-fetch asks for."""

from __future__ import annotations

from velocast.core.audit_row import AuditRow
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.ingest.fetch import fetch_city_data
from velocast.usecases.ingest.sweep import sweep


def ingest_city_data(request: FetchRequest, run: Run[FetchSettings]) -> list[AuditRow]:
    """Fetch the newest days or the requested ones, or look for late ones. Raises as `fetch_city_data` and `sweep`."""
    return (fetch_city_data if request.sweep_days is None else sweep)(request, run)
