"""SQL files that a test makes up."""

from __future__ import annotations

import pytest

from velocast.adapters.bigquery import sql_templates


@pytest.fixture
def sql(monkeypatch: pytest.MonkeyPatch):
    """Stand in for files of velocast/sql: name -> text."""
    texts: dict[str, str] = {}
    real = sql_templates.text
    monkeypatch.setattr(
        sql_templates, "text", lambda name: texts[name] if name in texts else real(name)
    )
    return texts
