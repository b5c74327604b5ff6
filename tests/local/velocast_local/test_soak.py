"""The soak's own judgement: what its plan deals, and which differences its comparison lets pass."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gcp_emulators.core import processes
from velocast.adapters.champion_manifest import SummaryEntry
from velocast.core import schemas
from velocast_local.soak import kills
from velocast_local.soak.catalogue import KINDS, RUNS, Strike
from velocast_local.soak.comparison.difference import Difference
from velocast_local.soak.comparison.runs import compare_runs
from velocast_local.soak.evidence import AuditEntry, Evidence
from velocast_local.soak.injection import malformed_lines
from velocast_local.soak.plan import ALONE, FaultPlan
from velocast_local.soak.report import SoakReport, print_soak

FETCHED, PREDICTED, TRAINED = (f"2025-11-29T{hour:02}:00:00Z" for hour in (2, 4, 12))
COUNT = ("c1", "2025-11-28T10:00:00Z")
WEATHER = ("2025-11-29T10:00:00Z", FETCHED)
FORECAST = ("c1", "2025-11-29T12:00:00Z", "2025-11-29T00:00:00Z", TRAINED)
CARD = ("🚀 Champion promoted", TRAINED)


def entry(component: str, as_of: str, what: str, status: str = "OK") -> AuditEntry:
    decided = (status, None, None, None, None, None)
    return AuditEntry((component, as_of, what), f"{component}:1:{what}", decided, None)


def version(sha256: str, weather: str = "w") -> SummaryEntry:
    return SummaryEntry(
        version=1,
        run_id="r",
        task="forecast",
        kind="gbm",
        trained_at=TRAINED,
        dataset_hashes={"counts": "c", "weather": weather},
        artifact_uri="gs://m/x",
        sha256=sha256,
        feature_definition="1",
    )


def evidence() -> Evidence:
    """What a clean run of one day leaves."""
    return Evidence(
        tables={
            schemas.COUNTS: {COUNT: (12, None)},
            schemas.COUNTERS: {("c1",): ("One",)},
            schemas.WEATHER: {WEATHER: (7.0,)},
            schemas.FORECASTS: {FORECAST: (10.0, 5.0, 15.0)},
        },
        ingested={COUNT: FETCHED},
        rejects=Counter(),
        audit=[
            entry("fetch", FETCHED, "ingestion"),
            entry("predict", PREDICTED, "prediction"),
            entry("promote", TRAINED, "deployment"),
        ],
        manifests={"forecast": {"version": 1, "sha256": "a"}},
        summary=[version("a")],
        aliases={"forecast": TRAINED},
        messages=Counter({CARD: 1}),
    )


def strike(name: str, as_of: str = FETCHED, hits: int = 1) -> Strike:
    return Strike(KINDS[name], as_of, KINDS[name].stages[0], hits)


def compare(change: Callable[[Evidence], object], *strikes: Strike) -> list[Difference]:
    faulty = copy.deepcopy(evidence())
    change(faulty)
    return compare_runs(evidence(), faulty, strikes)


def nothing(_: Evidence) -> None:
    """Change nothing."""


CHANGES: dict[str, Callable[[Evidence], object]] = {
    "a lost count": lambda e: e.tables[schemas.COUNTS].clear(),
    "a changed count": lambda e: e.tables[schemas.COUNTS].update({COUNT: (13, None)}),
    "a row twice": lambda e: e.twice.append("counts x"),
    "a counter's other name": lambda e: e.tables[schemas.COUNTERS].update({("c1",): ("Two",)}),
    "a count stored later": lambda e: e.ingested.update({COUNT: "2025-11-30T02:00:00Z"}),
    "an extra reject": lambda e: e.rejects.update({("bad", '"x"'): 1}),
    "lost weather": lambda e: e.tables[schemas.WEATHER].clear(),
    "a lost audit row": lambda e: e.audit.pop(),
    "an audit row more": lambda e: e.audit.append(entry("fetch", FETCHED, "ingestion")),
    "a failure": lambda e: e.audit.append(entry("fetch", FETCHED, "failed", "FAILED")),
    "another decision": lambda e: e.audit.append(replace(e.audit.pop(), decided=("SKIP",))),
    "another model from the same data": lambda e: e.summary.append(version("b")),
    "a training less": lambda e: e.summary.clear(),
    "another champion": lambda e: e.manifests.update({"forecast": {"version": 2, "sha256": "b"}}),
    "another alias": lambda e: e.aliases.update({"forecast": FETCHED}),
    "a finding of the doctor": lambda e: e.findings.append("agreement forecast: MLflow"),
    "another forecast": lambda e: e.tables[schemas.FORECASTS].update({FORECAST: (11.0, 5.0, 15.0)}),
    "a lost forecast": lambda e: e.tables[schemas.FORECASTS].clear(),
    "a message twice": lambda e: e.messages.update([CARD]),
    "a lost message": lambda e: e.messages.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_difference_passes_without_a_fault(change: str) -> None:
    found = compare(CHANGES[change])

    assert [difference.because for difference in found] == [None] * len(found) != []


@pytest.mark.parametrize("change", CHANGES)
def test_no_fault_that_did_not_strike_explains_anything(change: str) -> None:
    everything = [strike(name, hits=0) for name in KINDS]

    assert all(difference.because is None for difference in compare(CHANGES[change], *everything))


LOSSES = [
    name
    for name in CHANGES
    if name
    not in {
        "a count stored later",
        "lost weather",
        "a failure",
        "another decision",
        "another champion",
        "another alias",
        "another forecast",
        "a lost forecast",
        "a message twice",
        "a lost message",
    }
]


@pytest.mark.parametrize("change", LOSSES)
def test_no_fault_at_all_explains_a_loss(change: str) -> None:
    everything = [strike(name) for name in KINDS if name != "city malformed"]

    assert any(difference.because is None for difference in compare(CHANGES[change], *everything))


def test_equal_runs_do_not_differ() -> None:
    assert compare(nothing, strike("kill fetch"), strike("weather away")) == []


@pytest.mark.parametrize(
    ("change", "fault", "as_of"),
    [
        ("a count stored later", "city late", FETCHED),
        ("lost weather", "weather away", FETCHED),
        ("a failure", "bigquery refuses", FETCHED),
        ("another forecast", "city late", FETCHED),
        ("a message twice", "kill notify", TRAINED),
    ],
)
def test_a_difference_is_traced_to_the_fault_behind_it(change: str, fault: str, as_of: str) -> None:
    assert [d.because for d in compare(CHANGES[change], strike(fault, as_of))] == [
        f"{fault} at {as_of}"
    ]


@pytest.mark.parametrize(
    ("change", "fault", "as_of"),
    [
        ("lost weather", "weather away", "2025-11-20T02:00:00Z"),  # long before
        ("lost weather", "weather truncated", FETCHED),  # asked again at once
        ("a failure", "bigquery refuses", PREDICTED),  # of another run
        ("another forecast", "city late", "2025-11-30T02:00:00Z"),  # after it
    ],
)
def test_a_fault_explains_only_what_it_can_have_done(change: str, fault: str, as_of: str) -> None:
    assert [d.because for d in compare(CHANGES[change], strike(fault, as_of))] == [None]


def test_another_model_and_its_forecasts_are_traced_to_the_weather_it_did_not_have() -> None:
    def change(faulty: Evidence) -> None:
        faulty.tables[schemas.WEATHER].clear()
        faulty.summary[:] = [version("b", weather="other")]
        faulty.manifests["forecast"] = {"version": 1, "sha256": "b"}
        faulty.tables[schemas.FORECASTS][FORECAST] = (11.0, 5.0, 15.0)

    found = compare(change, strike("weather away"))

    assert len(found) == 4
    assert all("weather away at 2025-11-29T02:00:00Z" in str(d.because) for d in found)


def test_another_decision_about_such_a_model_explains_the_rows_of_its_retraining_only() -> None:
    def change(faulty: Evidence) -> None:
        faulty.tables[schemas.WEATHER].clear()
        faulty.summary[:] = [version("b", weather="other").model_copy(update={"decision": "SKIP"})]
        faulty.audit[-1] = entry("evaluate", TRAINED, "deployment")
        faulty.audit.append(entry("notify", TRAINED, "⏭️ Challenger skipped: version (gbm)"))

    explained = compare(change, strike("weather away"))
    lost = compare(lambda e: (change(e), e.audit.pop(0)), strike("weather away"))

    assert {d.what.partition(" of ")[0] for d in explained} >= {
        "lost: promote deployment",
        "more: evaluate deployment",
        "more: notify ⏭️ Challenger skipped: version (gbm)",
    }
    assert all("weather away at 2025-11-29T02:00:00Z" in str(d.because) for d in explained)
    assert [d.what for d in lost if d.because is None] == [f"lost: fetch ingestion of {FETCHED}"]


def test_each_malformed_record_is_one_reject() -> None:
    first, second = malformed_lines("2025-11-29")
    stored = {("negative_count", first): 1, ("not_json", f'"{second}"'): 1}

    found = compare(lambda e: e.rejects.update(stored), strike("city malformed"))
    lost = compare(nothing, strike("city malformed"))
    twice = compare(lambda e: e.rejects.update(stored | {("not_json", f'"{second}"'): 2}),
                    strike("city malformed"))  # fmt: skip

    assert [d.because for d in found] == ["city malformed"] * 2
    assert [d.because for d in lost] == [None]
    assert None in [d.because for d in twice]


class TestThePlan:
    def test_the_same_seed_deals_the_same_faults(self) -> None:
        one, two, other = (FaultPlan(seed, at_once=3) for seed in (1, 1, 2))
        stages = [*RUNS, *RUNS]

        dealt = [[plan.deal(stage) for stage in stages] for plan in (one, two, other)]

        assert dealt[0] == dealt[1] != dealt[2]

    def test_every_kind_comes_up(self) -> None:
        plan = FaultPlan(7, at_once=3)
        dealt = {kind.name for _ in range(20) for stage in RUNS for kind in plan.deal(stage)}

        assert dealt == set(KINDS)

    def test_faults_of_one_run_fit_it_and_differ(self) -> None:
        plan = FaultPlan(7, at_once=4)
        for stage in RUNS * 10:
            dealt = plan.deal(stage)
            assert all(stage in kind.stages for kind in dealt)
            assert len({kind.family for kind in dealt}) == len(dealt) > 0
            assert len(dealt) == 1 or ALONE not in {kind.name for kind in dealt}


def test_the_report_fits_into_80_columns() -> None:
    differences = [Difference("x" * 100, "a fault"), Difference("lost: a count", None)]
    strikes = [strike("event repeated-a-day-later"), strike("discord too-many-requests", hits=0)]
    report = SoakReport(7, 3, strikes, differences, {"faulty": 60.0, "clean": 30.0})
    out = io.StringIO()

    print_soak(report, Console(file=out, width=80))

    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "1 faults survived" in out.getvalue()
    assert "NOT EXPLAINED" in out.getvalue()
    assert report.as_dict()["unexplained"] == 1


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process of the stack in tmp_path that writes this log."""
    running: list[subprocess.Popen[bytes]] = []

    def start(log: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        environment = {**os.environ, processes.MARKER: str(tmp_path)}
        running.append(
            processes.start_process(
                command, environment=environment, log=tmp_path / log, cwd=tmp_path
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_kills_the_function_or_job_that_it_was_told_and_no_other(
    tmp_path: Path, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    fetch, predict = started("logs/fetch.log"), started("logs/predict.log")
    train = started("logs/jobs/velocast-train-abcde.log")

    assert kills.kill_all(kills.find_part(tmp_path, "fetch"))
    assert kills.kill_all(kills.find_job(tmp_path, "train"))

    assert None not in [fetch.poll(), train.poll()]
    assert predict.poll() is None
    assert not kills.kill_all(kills.find_job(tmp_path, "evaluate"))
    assert not kills.kill_all(kills.find_part(tmp_path / "other", "predict"))
