"""All exceptions that Velocast raises.

VelocastError
├── SettingsError        a setting is missing or unreadable
├── EventError           a message or request cannot be understood
├── CityError            the city's API
│   ├── CityUnreachable  no response, or 429/5xx                            (retryable)
│   ├── CityTruncated    fewer records than the API reports                 (retryable)
│   └── CityRefused      4xx, or a response without records
├── WeatherError         the weather API; counts are ingested without it
│   ├── WeatherUnreachable  no response, or 429/5xx                         (retryable)
│   ├── WeatherTruncated    an incomplete response, or missing hours            (retryable)
│   └── WeatherRefused      4xx, or a response that is not weather in the units requested
├── WarehouseError       BigQuery refused or failed
├── ObjectMissing        a Cloud Storage object does not exist
├── ObjectChanged        a generation precondition failed: another process wrote the object first
├── RegistryError        MLflow refused or failed                           (retryable)
├── ModelUnusable        an artifact is missing, altered or made with other library versions
│   └── ChampionGone     the champion of a past day cannot be loaded any more
├── TooLittleHistory     fewer counts than the step needs
├── PromotionRefused     the challenger must not be published
├── WorkflowError        an execution could not be started                  (retryable)
└── ChannelError         a channel did not accept the message               (retryable)
    └── DiscordError     Discord's webhook did not
        └── DiscordRefused   retrying cannot help: the message is invalid
            └── DiscordGone  the webhook is deleted: no message is accepted

A message names the component, what was found, what was needed, where, and what to do.
"""

from __future__ import annotations

from typing import ClassVar

SHOWN_CHARACTERS = 4_000


def shown(text: str) -> str:
    """Return a text of any origin as it is stored, logged and sent: in UTF-8, and cut after 4,000 characters.

    A lone surrogate, which JSON can hold and UTF-8 cannot, becomes an escape such as \\ud800.
    """
    kept = text[:SHOWN_CHARACTERS]
    if len(text) > len(kept):
        kept += f" … (cut: {len(text):,} characters)"
    return kept.encode("utf-8", "backslashreplace").decode("utf-8")


class VelocastError(Exception):
    """Base of all errors that Velocast raises deliberately."""

    code: ClassVar[str] = "velocast_error"
    retryable: ClassVar[bool] = False


class SettingsError(VelocastError):
    """A setting is missing or unreadable, so the process must not start."""

    code = "settings"


class EventError(VelocastError):
    """A message or request cannot be understood. Retrying cannot help."""

    code = "bad_event"


class CityError(VelocastError):
    """The city's open-data API failed."""

    code = "city"


class CityUnreachable(CityError):
    """No response, or a response that asks the client to retry later (429, 5xx)."""

    code = "city_unreachable"
    retryable = True


class CityTruncated(CityError):
    """Fewer records arrived than the API reports, or the stream was cut off."""

    code = "city_truncated"
    retryable = True


class CityRefused(CityError):
    """The API rejected the request, or its response does not contain records."""

    code = "city_refused"


class WeatherError(VelocastError):
    """The weather API failed. Forecasts are made without weather and are less accurate."""

    code = "weather"


class WeatherUnreachable(WeatherError):
    """No response, or a response that asks the client to retry later (429, 5xx)."""

    code = "weather_unreachable"
    retryable = True


class WeatherTruncated(WeatherError):
    """The response was cut off, or has fewer hours than requested."""

    code = "weather_truncated"
    retryable = True


class WeatherRefused(WeatherError):
    """The API rejected the request, or its response is not weather in the units requested."""

    code = "weather_refused"


class WarehouseError(VelocastError):
    """BigQuery refused or failed."""

    code = "warehouse"


class ObjectMissing(VelocastError):
    """A Cloud Storage object does not exist."""

    code = "object_missing"


class ObjectChanged(VelocastError):
    """A generation precondition failed: another process wrote the object first."""

    code = "object_changed"


class RegistryError(VelocastError):
    """MLflow refused or failed."""

    code = "registry"
    retryable = True


class ModelUnusable(VelocastError):
    """A model artifact is missing, altered, or was made with other library versions."""

    code = "model_unusable"


class ChampionGone(ModelUnusable):
    """The champion of a past day cannot be loaded any more, so that day cannot be forecast again."""

    code = "champion_gone"

    def __init__(self, message: str, *, version: int | None) -> None:
        super().__init__(message)
        self.version = version


class TooLittleHistory(VelocastError):
    """Fewer counts are stored than the step needs."""

    code = "too_little_history"


class PartsMissing(VelocastError):
    """Some parts of a forecast in tasks were not made, so nothing is published."""

    code = "parts_missing"


class PromotionRefused(VelocastError):
    """The challenger must not be published."""

    code = "promotion_refused"


class WorkflowError(VelocastError):
    """A workflow execution could not be started."""

    code = "workflow"
    retryable = True


class ChannelError(VelocastError):
    """A channel did not accept the message."""

    code = "channel"
    retryable = True


class DiscordError(ChannelError):
    """Discord's webhook did not accept the message."""

    code = "discord"


class DiscordRefused(DiscordError):
    """Discord rejects the message or no longer has the webhook. Retrying cannot help."""

    code = "discord_refused"
    retryable = False


class DiscordGone(DiscordRefused):
    """Discord no longer has the webhook, so it accepts no message until there is a new one."""
