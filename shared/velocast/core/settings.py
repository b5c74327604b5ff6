"""The settings of each function and job, read from environment variables.

Each class names exactly the variables that its function or job needs; `terraform/config/functions.yaml` and `jobs.yaml`
list the same names, and a test compares them. A missing variable stops the start with a message that names it. Outside
this module only `adapters/google_clients.py` reads the environment: the addresses of emulators and MLflow's variables,
which belong to those libraries.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import AliasChoices, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from velocast.core.city import City, ReadObject, load_city
from velocast.core.errors import SettingsError
from velocast.core.telemetry import Exporter


@cache
def _threshold_defaults() -> dict[str, float | None]:
    text = files("velocast").joinpath("thresholds.yaml").read_text(encoding="utf-8")
    defaults: dict[str, float | None] = yaml.safe_load(text)
    return defaults


def _default(name: str) -> Any:
    return Field(default_factory=lambda: _threshold_defaults()[name])


class Thresholds(BaseSettings):
    """Every number that may be tuned; `thresholds.yaml` has the defaults and their meaning."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    validation_days: int = _default("validation_days")
    skill_days: int = _default("skill_days")
    min_pairs: int = _default("min_pairs")
    min_counter_share: float = _default("min_counter_share")
    min_history_days: int = _default("min_history_days")
    r2_critical: float = _default("r2_critical")
    r2_warning: float = _default("r2_warning")
    rmse_threshold: float | None = _default("rmse_threshold")
    relative_error_warning: float = _default("relative_error_warning")
    retry_days: int = _default("retry_days")
    drift_critical: float = _default("drift_critical")
    drift_warning: float = _default("drift_warning")
    refresh_days: int = _default("refresh_days")
    drift_days: int = _default("drift_days")
    drift_min_rows: int = _default("drift_min_rows")
    drift_sample_rows: int = _default("drift_sample_rows")
    drift_column_threshold: float = _default("drift_column_threshold")
    current_days: int = _default("current_days")
    current_test_share: float = _default("current_test_share")
    baseline_test_share: float = _default("baseline_test_share")
    r2_floor: float = _default("r2_floor")
    min_gain: float = _default("min_gain")
    min_reference_gain: float = _default("min_reference_gain")
    min_reference_gain_low: float = _default("min_reference_gain_low")
    refit_tolerance: float = _default("refit_tolerance")
    overlap_days: int = _default("overlap_days")
    stale_days: int = _default("stale_days")
    spike_factor: float = _default("spike_factor")
    spike_margin: float = _default("spike_margin")
    spike_days: int = _default("spike_days")
    fresh_hours: int = _default("fresh_hours")
    job_counters: int = _default("job_counters")


class Settings(BaseSettings):
    """What every function and job needs. Frozen; read once at start with `load()` and passed down.

    clock: whose time the events carry: the wall clock's, or the past that a replay of stored counts plays again, of
    which readers are told.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    project: str = Field(validation_alias=AliasChoices("GOOGLE_CLOUD_PROJECT"))
    location: str = Field(validation_alias=AliasChoices("VELOCAST_LOCATION"))
    environment: Literal["dev", "prod"] = Field(
        validation_alias=AliasChoices("VELOCAST_ENVIRONMENT")
    )
    city_name: str = Field(validation_alias=AliasChoices("VELOCAST_CITY"))
    metrics_exporter: Exporter = Field(
        default="gcp_monitoring", validation_alias=AliasChoices("OTEL_METRICS_EXPORTER")
    )
    clock: Literal["wall", "replay"] = Field(
        default="wall", validation_alias=AliasChoices("VELOCAST_CLOCK")
    )
    thresholds: Thresholds = Field(default_factory=Thresholds)
    _city: City | None = PrivateAttr(None)

    @classmethod
    def load(cls, read_object: ReadObject | None = None) -> Self:
        """Read the environment and the city.

        read_object: reads a city that VELOCAST_CITY names by a gs:// address. Raises SettingsError naming every
        variable that is missing or wrong, or what is wrong with the city's file.
        """
        try:
            settings = cls()
        except ValidationError as exc:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
            raise SettingsError(
                f"{cls.__name__}: {wrong}. Set it in the function's environment (terraform/config)"
            ) from exc
        settings._city = load_city(settings.city_name, read_object=read_object)
        return settings

    @classmethod
    def required_variables(cls) -> set[str]:
        """Names of the environment variables without which `load` refuses to start."""
        return {
            field.validation_alias.choices[0]  # type: ignore[misc]
            for field in cls.model_fields.values()
            if isinstance(field.validation_alias, AliasChoices) and field.is_required()
        }

    @property
    def city(self) -> City:
        """The city's description, as it was when the settings were read."""
        return self._city or load_city(self.city_name)


def _variable(name: str) -> Any:
    return Field(validation_alias=AliasChoices(name))


class NotifyingSettings(Settings):
    """Settings of what publishes notices, which the function `notify` sends to people."""

    alerts_topic: str = _variable("VELOCAST_ALERTS_TOPIC")


class FetchSettings(NotifyingSettings):
    """functions/fetch. The token of a city's portal is a secret: a mounted file, never in the city's file.

    site_url: as in MonitorSettings.
    """

    city_token_file: Path = _variable("VELOCAST_CITY_TOKEN_FILE")
    site_url: str = _variable("VELOCAST_SITE_URL")


class ForecastSettings(NotifyingSettings):
    """Settings of the parts that make forecasts and publish them."""

    models_bucket: str = _variable("VELOCAST_MODELS_BUCKET")
    site_bucket: str = _variable("VELOCAST_SITE_BUCKET")


class PredictSettings(ForecastSettings):
    """functions/predict. forecast_workflow: the workflow that forecasts a large city."""

    forecast_workflow: str = _variable("VELOCAST_FORECAST_WORKFLOW")


class ForecastJobSettings(ForecastSettings):
    """workflows/jobs: forecast, publish. Cloud Run sets the number of the task and how many there are."""

    as_of: str | None = Field(default=None, validation_alias=AliasChoices("VELOCAST_AS_OF"))
    execution: str | None = Field(
        default=None, validation_alias=AliasChoices("CLOUD_RUN_EXECUTION")
    )
    task_index: int = Field(default=0, validation_alias=AliasChoices("CLOUD_RUN_TASK_INDEX"))
    task_count: int = Field(default=1, validation_alias=AliasChoices("CLOUD_RUN_TASK_COUNT"))


class MonitorSettings(NotifyingSettings):
    """functions/monitor. site_url: address of the public site's first page; empty where it is not public."""

    models_bucket: str = _variable("VELOCAST_MODELS_BUCKET")
    reports_bucket: str = _variable("VELOCAST_REPORTS_BUCKET")
    workflow: str = _variable("VELOCAST_WORKFLOW")
    site_url: str = _variable("VELOCAST_SITE_URL")


class NotifySettings(Settings):
    """functions/notify. The channels' addresses are secrets: mounted files, never variables."""

    reports_bucket: str = _variable("VELOCAST_REPORTS_BUCKET")
    discord_webhook_file: Path = _variable("VELOCAST_DISCORD_WEBHOOK_FILE")
    channels_file: Path = _variable("VELOCAST_CHANNELS_FILE")


class ServeSettings(Settings):
    """functions/serve. The keys file holds one key a line: `name:key`. public_site: the page needs no key."""

    models_bucket: str = _variable("VELOCAST_MODELS_BUCKET")
    api_keys_file: Path = _variable("VELOCAST_API_KEYS_FILE")
    public_site: bool = _variable("VELOCAST_PUBLIC_SITE")
    requests_per_minute: int = Field(
        default=100, gt=0, validation_alias=AliasChoices("VELOCAST_REQUESTS_PER_MINUTE")
    )


class JobSettings(NotifyingSettings):
    """workflows/jobs: train, evaluate, promote.

    as_of: RFC 3339; replaces the start of the process as the moment at which the job runs. execution: Cloud Run's name
    of the execution, the same for all its retries.
    """

    models_bucket: str = _variable("VELOCAST_MODELS_BUCKET")
    datasets_bucket: str = _variable("VELOCAST_DATASETS_BUCKET")
    site_bucket: str = _variable("VELOCAST_SITE_BUCKET")
    mlflow_tracking_uri: str = _variable("MLFLOW_TRACKING_URI")
    forecast_workflow: str = _variable("VELOCAST_FORECAST_WORKFLOW")
    as_of: str | None = Field(default=None, validation_alias=AliasChoices("VELOCAST_AS_OF"))
    execution: str | None = Field(
        default=None, validation_alias=AliasChoices("CLOUD_RUN_EXECUTION")
    )
