"""Compare two runs of the same days: first what they stored of the city, then what they made of it."""

from __future__ import annotations

from collections.abc import Sequence

from velocast_local.soak.catalogue import Strike
from velocast_local.soak.comparison.causes import Causes
from velocast_local.soak.comparison.difference import Difference
from velocast_local.soak.comparison.inputs import InputComparison
from velocast_local.soak.comparison.results import ResultComparison
from velocast_local.soak.evidence import Evidence


def compare_runs(clean: Evidence, faulty: Evidence, strikes: Sequence[Strike]) -> list[Difference]:
    """Return every difference between two runs of the same days, one for each table and day or model."""
    causes = Causes(strikes)
    inputs = InputComparison(clean, faulty, causes)
    results = ResultComparison(clean, faulty, causes, inputs)
    found = [Difference(f"twice: {row}", None) for row in faulty.twice]
    found += (Difference(f"doctor: {finding}", None) for finding in faulty.findings)
    return [*found, *inputs.differences(), *results.differences()]
