"""What all tasks of one forecast share, in `forecasts/<name>/` of the models bucket.

The first step writes the plan once. All tasks use the model, the counts and everything else that it names, whatever is
promoted or ingested while they run.
"""

from __future__ import annotations

import io
import uuid
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, Field

from velocast.adapters.champion_manifest import Champion, SummaryEntry
from velocast.adapters.gcs import Objects
from velocast.core.city import Histories
from velocast.core.errors import ModelUnusable, ObjectMissing
from velocast.core.requests import Message
from velocast.core.settings import ForecastJobSettings
from velocast.usecases import model_loading
from velocast.usecases.context import Run
from velocast.usecases.forecasting import busy_hours
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.forecast_rows import forecast_blocks
from velocast.usecases.forecasting.inputs import ForecastInputs
from velocast.usecases.forecasting.snapshot.counter_profiles import CounterProfiles
from velocast.usecases.forecasting.snapshot.publication import Published
from velocast.usecases.model_loading import FallbackStep, LoadedChampion
from velocast.usecases.snapshot_format import FaultCard, HealthCard

FOLDER = "forecasts/"
PARQUET_TYPE = "application/vnd.apache.parquet"
TASK_BLOCKS = 4  # blocks of counters that a task forecasts
MOST_TASKS = 50
FRAMES = ("counters", "typical", "typical_spread", "recent")

ForecastJobRun = Run[ForecastJobSettings]


class ForecastPlan(Message):
    """The plan of one forecast; with 0 `tasks`, there is nothing to make.

    source: what names the model; None: similar days. busy: the classifier; None: the forecast's own distribution.
    blocks: the counters of each part. data: the folder of the data frames. Others: as in ForecastInputs and
    CounterProfiles.
    """

    tasks: int
    as_of: AwareDatetime
    midnight: AwareDatetime | None = None
    newest: Published = Published()
    past: bool = False
    tables: dict[str, str] = Field(default_factory=dict)
    source: Champion | SummaryEntry | None = None
    busy: Champion | None = None
    blocks: tuple[tuple[str, ...], ...] = ()
    data: str = ""
    recent_from: AwareDatetime | None = None
    faults: dict[str, FaultCard] = Field(default_factory=dict)
    health: dict[str, HealthCard] = Field(default_factory=dict)
    counts_table: str | None = None
    histories: Histories = Field(default_factory=Histories)


class ForecastFolder:
    """The objects of one forecast. name: the same for all its steps."""

    def __init__(self, run: ForecastJobRun, name: str) -> None:
        self.run = run
        self.objects = Objects(run.settings.project, run.settings.models_bucket)
        self.root = f"{FOLDER}{name}/"

    def has_plan(self) -> bool:
        """Return whether the plan has been written."""
        return self.objects.exists(f"{self.root}plan.json")

    def read_plan(self) -> ForecastPlan:
        """Return the plan. Raises ObjectMissing."""
        return ForecastPlan.model_validate_json(self.objects.read(f"{self.root}plan.json").data)

    def write_plan(self, inputs: ForecastInputs | None) -> ForecastPlan:
        """Store what a forecast is made from, and return the plan: the first that was written, if there are several."""
        plan = ForecastPlan(tasks=0, as_of=self.run.as_of)
        if inputs is not None:
            plan = self._plan(inputs)
        data = plan.model_dump_json().encode("utf-8")
        self.objects.write_once(f"{self.root}plan.json", data, "application/json")
        return self.announce()

    def announce(self) -> ForecastPlan:
        """Write how many tasks the plan has into `tasks.json`, which a workflow can hold; return the plan."""
        plan = self.read_plan()
        self.objects.write_json(f"{self.root}tasks.json", {"tasks": plan.tasks})
        return plan

    def _plan(self, inputs: ForecastInputs) -> ForecastPlan:
        profiles = inputs.profiles
        blocks = forecast_blocks(profiles)
        # Another attempt of the same step may write a plan at the same time; each has its own frames.
        data = f"{self.root}{uuid.uuid4().hex}/"
        for name in FRAMES:
            self._write_frame(f"{data}{name}.parquet", getattr(profiles, name))
        self._write_frame(f"{data}weather.parquet", inputs.weather)
        return ForecastPlan(
            tasks=min(-(-len(blocks) // TASK_BLOCKS), MOST_TASKS),
            as_of=self.run.as_of,
            midnight=inputs.midnight,
            newest=inputs.newest,
            past=inputs.past,
            tables=inputs.tables,
            source=inputs.loaded.source,
            busy=inputs.busy.manifest,
            blocks=tuple(tuple(block) for block in blocks),
            data=data,
            recent_from=profiles.recent_from,
            faults=profiles.faults,
            health=profiles.health,
            counts_table=profiles.counts_table,
            histories=profiles.histories,
        )

    def read_inputs(self, plan: ForecastPlan) -> ForecastInputs:
        """Return what the plan names, with the models loaded.

        Raises ObjectMissing; ModelUnusable when a model can no longer be loaded: no part may be made by another
        model.
        """
        if plan.midnight is None or plan.recent_from is None:
            raise ObjectMissing(f"{self.root}plan.json has nothing to forecast")
        frames = {name: self._read_frame(f"{plan.data}{name}.parquet") for name in FRAMES}
        profiles = CounterProfiles(
            **frames,
            recent_from=plan.recent_from,
            faults=plan.faults,
            health=plan.health,
            counts_table=plan.counts_table,
            histories=plan.histories,
        )
        loaded, busy = self._models(plan)
        return ForecastInputs(
            midnight=plan.midnight,
            newest=plan.newest,
            past=plan.past,
            tables=plan.tables,
            profiles=profiles,
            loaded=loaded,
            busy=busy,
            weather=self._read_frame(f"{plan.data}weather.parquet"),
        )

    def _models(self, plan: ForecastPlan) -> tuple[LoadedChampion, BusyChampion]:
        def refuse(step: FallbackStep) -> None:
            raise ModelUnusable(f"{step.task} version {step.wanted_version}: {step.reason}")

        loaded = LoadedChampion()
        if plan.source is not None:
            loaded = model_loading.load_version(self.objects, plan.source)
        busy = busy_hours.load_busy_champion(
            self.objects, on_fallback=refuse, find=lambda: plan.busy
        )
        return loaded, busy

    def part_name(self, number: int) -> str:
        """Return the name of a part: the forecasts of one block of counters."""
        return f"{self.root}parts/{number:05}.parquet"

    def missing_parts(self, plan: ForecastPlan) -> list[int]:
        """Return the numbers of the missing parts."""
        there = set(self.objects.names(f"{self.root}parts/"))
        return [n for n in range(len(plan.blocks)) if self.part_name(n) not in there]

    def write_part(self, number: int, rows: pd.DataFrame) -> None:
        """Write a part, unless it is there already."""
        self.objects.write_once(self.part_name(number), _parquet(rows), PARQUET_TYPE)

    def read_part(self, number: int) -> pd.DataFrame:
        """Return a part. Raises ObjectMissing."""
        return self._read_frame(self.part_name(number))

    def _write_frame(self, name: str, frame: pd.DataFrame) -> None:
        self.objects.write(name, _parquet(frame), content_type=PARQUET_TYPE)

    def _read_frame(self, name: str) -> pd.DataFrame:
        frame: pd.DataFrame = pq.read_table(io.BytesIO(self.objects.read(name).data)).to_pandas()
        # Parquet's column names are text; columns for the hours of a week are numbered.
        frame.columns = pd.Index([_number(column) for column in frame.columns])
        return frame


def _parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    named = frame.rename(columns=str)
    pq.write_table(pa.Table.from_pandas(named), file)
    return file.getvalue()


def _number(column: Any) -> Any:
    return int(column) if str(column).isdigit() else column
