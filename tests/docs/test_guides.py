"""What the guides tell a reader to write works as it stands there."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import yaml

from tests.shared.model.feature_rows import feature_rows
from tests.terraform import alert_cases, rules
from velocast.core import schemas, telemetry
from velocast.model.learning import regressors

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def example(guide: str, language: str) -> str:
    """The first block of code in a language."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    found = re.search(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return dedent(found[1])


def test_the_kind_of_the_guide_learns_and_forecasts() -> None:
    defined: dict[str, Any] = {}
    exec(example("add-a-kind-of-model.md", "python"), vars(regressors), defined)
    (fit,) = defined.values()
    train = feature_rows(date(2021, 2, 1), origins=6)
    estimator = fit({"alpha": 0.001, "max_rows": 200_000}, train, 7)
    found = regressors.predict_counts(estimator, feature_rows(date(2021, 3, 1), origins=1, seed=2))
    assert np.isfinite(found).all()
    assert found.mean() > 0


def test_the_column_of_the_guide_is_one_that_a_schema_may_have() -> None:
    field = schemas.Field(**json.loads(example("add-a-table-or-column.md", "json")))
    assert field.mode == "NULLABLE"


def test_the_alert_rule_of_the_guide_fires_as_it_says(tmp_path: Path) -> None:
    (written,) = yaml.safe_load(example("add-an-alert.md", "yaml")).values()
    known = rules.values() | {"coverage_floor": "0.8"}
    rule = rules.Rule(**{key: rules.fill(value, known) for key, value in written.items()})
    assert "bike/interval_coverage" in telemetry.METRICS
    assert rules.selectors(rule.expression)[0][0] in rules.known_metrics()
    if rules.PROMTOOL is None:
        pytest.skip("promtool is not installed")
    cases = eval("{" + example("add-an-alert.md", "python") + "}", vars(alert_cases))
    assert not rules.disagreement(rule, cases["coverage_low"], tmp_path)
