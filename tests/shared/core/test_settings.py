"""Settings: thresholds come from one file, and a missing variable stops the start."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from velocast.core import settings
from velocast.core.errors import SettingsError

CONFIG = Path(__file__).parents[3] / "terraform/config"
COMPONENTS: dict[str, type[settings.Settings]] = {
    "fetch": settings.FetchSettings,
    "predict": settings.PredictSettings,
    "monitor": settings.MonitorSettings,
    "notify": settings.NotifySettings,
    "serve": settings.ServeSettings,
    "velocast-train": settings.JobSettings,
    "velocast-evaluate": settings.JobSettings,
    "velocast-promote": settings.JobSettings,
    "velocast-forecast-tasks": settings.ForecastJobSettings,
    "velocast-forecast-publish": settings.ForecastJobSettings,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    values = {
        "GOOGLE_CLOUD_PROJECT": "p",
        "VELOCAST_CHANNELS_FILE": "/secrets/velocast-channels/value",
        "VELOCAST_CITY_TOKEN_FILE": "/secrets/velocast-city-token/value",
        "VELOCAST_LOCATION": "europe-west1",
        "VELOCAST_ENVIRONMENT": "dev",
        "VELOCAST_CITY": "paris",
        "VELOCAST_ALERTS_TOPIC": "velocast-alerts",
        "VELOCAST_SITE_URL": "",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_missing_variable_stops_the_start_and_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("VELOCAST_ALERTS_TOPIC")
    with pytest.raises(SettingsError, match="VELOCAST_ALERTS_TOPIC: Field required"):
        settings.FetchSettings.load()


def test_wrong_environment_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VELOCAST_ENVIRONMENT", "laptop")
    with pytest.raises(
        SettingsError, match="VELOCAST_ENVIRONMENT: Input should be 'dev' or 'prod'"
    ):
        settings.FetchSettings.load()


def test_thresholds_come_from_their_file_and_a_variable_moves_one(
    environment: pytest.MonkeyPatch,
) -> None:
    defaults = settings.FetchSettings.load().thresholds
    environment.setenv("R2_CRITICAL", "0.5")
    moved = settings.FetchSettings.load().thresholds
    assert (defaults.r2_critical, moved.r2_critical) == (0.65, 0.5)
    assert moved.model_copy(update={"r2_critical": 0.65}) == defaults


def test_every_threshold_of_the_file_is_a_setting() -> None:
    text = (Path(settings.__file__).parents[1] / "thresholds.yaml").read_text()
    assert set(yaml.safe_load(text)) == set(settings.Thresholds.model_fields)


@pytest.mark.parametrize("component", COMPONENTS)
def test_configuration_sets_what_the_settings_require_and_no_more(component: str) -> None:
    entries: dict[str, Any] = {}
    for name in ("functions", "jobs"):
        entries |= yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
    assert set(entries[component]["environment"]) == COMPONENTS[component].required_variables()


def test_every_schedule_reaches_one_topic_and_that_one_function() -> None:
    read = {
        n: yaml.safe_load((CONFIG / f"{n}.yaml").read_text())
        for n in ("schedules", "topics", "functions")
    }
    for name, schedule in read["schedules"].items():
        assert schedule["topic"] in read["topics"], name
        readers = [
            f for f, entry in read["functions"].items() if entry["topic"] == schedule["topic"]
        ]
        assert len(readers) == 1, name


def test_settings_print_no_secret(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("app:very-secret")
    environment.setenv("VELOCAST_MODELS_BUCKET", "b")
    environment.setenv("VELOCAST_API_KEYS_FILE", str(keys))
    environment.setenv("VELOCAST_PUBLIC_SITE", "true")
    assert "very-secret" not in repr(settings.ServeSettings.load())


def test_the_city_may_be_a_file_or_an_object(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = files("velocast").joinpath("cities/paris.yaml").read_text("utf-8")
    own = text.replace("name: Paris", "name: Lutetia", 1)
    (tmp_path / "lutetia.yaml").write_text(own, "utf-8")
    environment.setenv("VELOCAST_CITY", str(tmp_path / "lutetia.yaml"))
    assert settings.FetchSettings.load().city.name == "Lutetia"

    bucket = {"gs://cities/lutetia.yaml": own.encode()}
    environment.setenv("VELOCAST_CITY", "gs://cities/lutetia.yaml")
    loaded = settings.FetchSettings.load(bucket.__getitem__)
    bucket.clear()
    assert loaded.city.name == "Lutetia", "it is read once, at the start"


def test_an_unknown_city_stops_the_start(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VELOCAST_CITY", "atlantis")
    with pytest.raises(SettingsError, match="'atlantis' is none of the packaged cities"):
        settings.FetchSettings.load()
