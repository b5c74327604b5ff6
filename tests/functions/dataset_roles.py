"""The roles on datasets that a function needs, by what its clients send to BigQuery, and those that it has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlglot
import yaml
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from sqlglot import exp

CONFIG = Path(__file__).parents[2] / "terraform/config/functions.yaml"
VIEWER, EDITOR = "roles/bigquery.dataViewer", "roles/bigquery.dataEditor"
# The account that runs a query may read its result, which BigQuery keeps outside the project's datasets.
RESULTS = "_bqemu_anonymous"
WRITING = (exp.Create, exp.Merge, exp.Insert, exp.Update, exp.Delete)
_TABLE = re.compile(r"/bigquery/v2/projects/[^/]+/datasets/(?P<dataset>[^/]+)/tables/")


def granted_roles(function: str) -> dict[str, str]:
    """Return the role of a function's account on each dataset."""
    functions = yaml.safe_load(CONFIG.read_text("utf-8"))
    roles: dict[str, str] = functions[function]["roles"]["datasets"]
    return roles


@contextmanager
def needed_roles() -> Iterator[dict[str, str]]:
    """Yield the role on each dataset that the calls to BigQuery need which are made while the block runs."""
    roles: dict[str, str] = {}

    def need(dataset: str, role: str) -> None:
        if dataset != RESULTS and roles.get(dataset) != EDITOR:
            roles[dataset] = role

    def send(self: requests.Session, method: str, url: str, *args: Any, **named: Any) -> Any:
        if table := _TABLE.search(url):
            need(table["dataset"], VIEWER if method == "GET" else EDITOR)
        elif method == "POST" and "/bigquery/v2/" in url:
            for dataset, role in _needed_by_job(json.loads(named["data"])):
                need(dataset, role)
        return request(self, method, url, *args, **named)

    def open_session(self: BigQueryReadClient, *args: Any, **named: Any) -> Any:
        need(named["read_session"].table.split("/")[3], VIEWER)
        return opened(self, *args, **named)

    request, opened = requests.Session.request, BigQueryReadClient.create_read_session
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "request", send)
        patch.setattr(BigQueryReadClient, "create_read_session", open_session)
        yield roles


def _needed_by_job(asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the datasets that a query or a load reads or writes."""
    if "configuration" in asked:
        yield asked["configuration"]["load"]["destinationTable"]["datasetId"], EDITOR
        return
    for statement in filter(None, sqlglot.parse(asked["query"], dialect="bigquery")):
        written = statement.this.find(exp.Table) if isinstance(statement, WRITING) else None
        for table in statement.find_all(exp.Table):
            if table.db:
                yield table.db, EDITOR if table is written else VIEWER
