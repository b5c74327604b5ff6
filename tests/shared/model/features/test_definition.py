"""The features of a model: a frame without one is refused, and the definition's name follows its content."""

from __future__ import annotations

import tracemalloc
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.core.errors import TooLittleHistory
from velocast.model.features import definition, preprocessing
from velocast.model.features.calendar_features import SCHOOL_COLUMNS

ROWS = feature_rows(date(2021, 3, 1), origins=3)


def test_a_frame_that_lacks_features_is_refused() -> None:
    with pytest.raises(TooLittleHistory, match=r"lacks \['week_2', 'is_eve'\]"):
        definition.feature_matrix(ROWS.drop(columns=["week_2", "is_eve"]))


def test_the_matrix_of_features_is_made_without_another_copy() -> None:
    frame = pd.concat([ROWS] * 10, ignore_index=True)
    tracemalloc.start()
    x = definition.feature_matrix(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(x, frame[list(definition.FEATURES)].to_numpy("float64"))
    assert peak < 1.2 * x.nbytes


def test_columns_that_came_later_are_the_last() -> None:
    """A model of an earlier definition knows the columns before them by their position."""
    later = (*definition.SIMILAR, *SCHOOL_COLUMNS, definition.EVENT)
    assert (*definition.TREE_FEATURES, *later) == definition.FEATURES
    assert definition.TREE_FEATURES[-1] == definition.WEATHER[-1]


def test_the_definition_depends_on_columns_and_sql_but_not_on_comments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    monkeypatch.setattr(definition, "files", lambda _: tmp_path)
    definitions = []
    texts = ("SELECT 1 -- one\n", "SELECT\n  1 -- other\n", "SELECT 2\n")
    for counts, weather in [*((text, "SELECT 3") for text in texts), ("SELECT 1", "SELECT 4")]:
        (folder / "features.sql").write_text(counts)
        (folder / "weather_features.sql").write_text(weather)
        definitions.append(definition._definition())
    assert definitions[0] == definitions[1]
    assert len(set(definitions)) == 3


def test_code_without_the_fourth_voice_refuses_models_that_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would load one, leave the voice out and forecast too few bikes."""
    assert all(hasattr(preprocessing, name) for name in definition.DERIVED)
    monkeypatch.setattr(definition, "DERIVED", ())
    before = definition._definition()
    assert before != definition.FEATURE_DEFINITION
    assert definition.serves(before), "older models serve until they are retrained"
