"""The three steps of a forecast in tasks: plan, make the parts (each task some of them), publish.

Each step can be repeated, after it has ended or was killed anywhere: a plan and a part are written once, and publishing
changes no row that exists already.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from velocast.core.audit_row import AuditRow
from velocast.core.errors import ChampionGone, ObjectChanged, PartsMissing
from velocast.core.requests import PredictRequest
from velocast.usecases.forecasting import daily_forecast, forecast_rows
from velocast.usecases.forecasting.in_tasks.plan import (
    ForecastFolder,
    ForecastJobRun,
    ForecastPlan,
)
from velocast.usecases.forecasting.inputs import inputs_known_then
from velocast.usecases.forecasting.outcome import (
    audit_forecast,
    nothing_to_forecast,
    report_champion_gone,
)

OUTCOME = "outcome.json"
PUBLISHED, AGAIN = "published", "again"
SHOWN = 10


def plan_forecast(
    request: PredictRequest, run: ForecastJobRun, *, name: str, of_the_day: bool
) -> list[AuditRow]:
    """Write the plan of a forecast; returns audit rows only when there is nothing to make.

    request, of_the_day: as for `daily_forecast.forecast_all_counters` and `publish_forecasts`. Raises WarehouseError.
    """
    folder = ForecastFolder(run, name)
    if folder.has_plan():
        folder.announce()
        return []
    try:
        with inputs_known_then(
            run, of_the_day=of_the_day, only_known=request.only_known, kept=True
        ) as inputs:
            folder.write_plan(inputs)
    except ChampionGone as exc:
        folder.write_plan(None)
        return report_champion_gone(run, exc)
    if inputs is None:
        return audit_forecast(run, nothing_to_forecast(run))
    return []


def make_parts(run: ForecastJobRun, *, name: str) -> list[AuditRow]:
    """Make those parts of one task that are missing. Returns no audit row: `publish_parts` returns one for all.

    Raises PartsMissing when Cloud Run runs another number of tasks than the plan says; ObjectMissing, ModelUnusable,
    WarehouseError.
    """
    folder = ForecastFolder(run, name)
    plan, task, tasks = folder.read_plan(), run.settings.task_index, run.settings.task_count
    if tasks != plan.tasks:
        raise PartsMissing(f"{tasks} tasks run, {plan.tasks} are planned; run {plan.tasks}")
    own = {int(n) for n in np.array_split(range(len(plan.blocks)), plan.tasks)[task]}
    wanted = sorted(own.intersection(folder.missing_parts(plan)))
    if not wanted:
        return []
    inputs = folder.read_inputs(plan)
    blocks = (plan.blocks[number] for number in wanted)
    made = forecast_rows.make_forecast_rows(run, inputs, blocks)
    for number, rows in zip(wanted, made, strict=True):
        folder.write_part(number, rows)
    return []


def publish_parts(run: ForecastJobRun, *, name: str, last: bool) -> list[AuditRow]:
    """Store all parts, publish snapshot and site, and write `outcome.json`: published, or again.

    Again: a snapshot has been published since the plan was made, by a run that may have used a newer champion, so a new
    plan is needed. last: raises ObjectChanged instead. Raises PartsMissing, before anything is stored or published.
    """
    folder = ForecastFolder(run, name)
    plan = folder.read_plan()
    if missing := folder.missing_parts(plan):
        shown = ", ".join(str(number) for number in missing[:SHOWN])
        raise PartsMissing(
            f"{len(missing)} of {len(plan.blocks)} parts are missing ({shown}{', ...' if missing[SHOWN:] else ''}); "
            "nothing is published. Their tasks have failed: read the log of the job velocast-forecast-tasks"
        )
    inputs = folder.read_inputs(plan)
    try:
        made = daily_forecast.store_and_publish(run, inputs, _Parts(folder, plan))
    except ObjectChanged:
        if last:
            raise
        _leave(folder, AGAIN)
        return []
    rows = audit_forecast(run, made)
    _leave(folder, PUBLISHED)
    return rows


class _Parts:
    """The parts in order, read from the bucket one at a time; can be iterated again."""

    def __init__(self, folder: ForecastFolder, plan: ForecastPlan) -> None:
        self._folder = folder
        self._count = len(plan.blocks)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (self._folder.read_part(number) for number in range(self._count))


def _leave(folder: ForecastFolder, state: str) -> None:
    folder.objects.write_json(f"{folder.root}{OUTCOME}", {"state": state})
