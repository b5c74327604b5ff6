"""The one exception hierarchy.

VelocastError
├── SettingsError        a setting is missing or unreadable
├── EventError           a message or request cannot be understood
├── CityError            the city's API
│   ├── CityUnreachable  no answer, or 429/5xx                              (retryable)
│   ├── CityTruncated    fewer records than the API itself counts           (retryable)
│   └── CityRefused      4xx, or an answer that is not records
├── WeatherError         the weather API; counts go on without it
│   ├── WeatherUnreachable  no answer, or 429/5xx                           (retryable)
│   ├── WeatherTruncated    half an answer, or fewer hours than were asked  (retryable)
│   └── WeatherRefused      4xx, or an answer that is not weather in our units
├── WarehouseError       BigQuery refused or failed
├── ObjectMissing        a Cloud Storage object is not there
├── ObjectChanged        a generation precondition failed: someone else wrote
├── RegistryError        MLflow refused or failed                           (retryable)
├── ModelUnusable        an artifact is missing, altered or made by other library versions
├── TooLittleHistory     fewer counts than the step needs
├── PromotionRefused     a challenger that must not be published
├── WorkflowError        an execution could not be started                  (retryable)
└── DiscordError         the webhook did not take the message               (retryable)
    └── DiscordRefused   it never will: the message is wrong, or the webhook gone

A message says who, what was found, what was needed, where, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class VelocastError(Exception):
    """Base of all errors that Velocast raises on purpose."""

    code: ClassVar[str] = "velocast_error"
    retryable: ClassVar[bool] = False


class SettingsError(VelocastError):
    """A setting is missing or unreadable; the process must not start."""

    code = "settings"


class EventError(VelocastError):
    """A message or request cannot be understood; trying it again cannot help."""

    code = "bad_event"


class CityError(VelocastError):
    """The city's open-data API."""

    code = "city"


class CityUnreachable(CityError):
    """No answer, or one that asks to come back later."""

    code = "city_unreachable"
    retryable = True


class CityTruncated(CityError):
    """Fewer records arrived than the API itself counts, or the stream broke off."""

    code = "city_truncated"
    retryable = True


class CityRefused(CityError):
    """The API refused the question, or answered something that is not records."""

    code = "city_refused"


class WeatherError(VelocastError):
    """The weather API. Forecasts are made without weather, only less well."""

    code = "weather"


class WeatherUnreachable(WeatherError):
    """No answer, or one that asks to come back later."""

    code = "weather_unreachable"
    retryable = True


class WeatherTruncated(WeatherError):
    """The answer broke off, or has fewer hours than were asked."""

    code = "weather_truncated"
    retryable = True


class WeatherRefused(WeatherError):
    """The API refused the question, or answered something that is not weather in our units."""

    code = "weather_refused"


class WarehouseError(VelocastError):
    """BigQuery refused or failed."""

    code = "warehouse"


class ObjectMissing(VelocastError):
    """A Cloud Storage object is not there."""

    code = "object_missing"


class ObjectChanged(VelocastError):
    """A generation precondition failed: someone else wrote the object first."""

    code = "object_changed"


class RegistryError(VelocastError):
    """MLflow refused or failed."""

    code = "registry"
    retryable = True


class ModelUnusable(VelocastError):
    """A model artifact is missing, altered, or was made by other library versions."""

    code = "model_unusable"


class TooLittleHistory(VelocastError):
    """Fewer counts are stored than the step needs."""

    code = "too_little_history"


class PromotionRefused(VelocastError):
    """A challenger that must not be published."""

    code = "promotion_refused"


class WorkflowError(VelocastError):
    """A workflow execution could not be started."""

    code = "workflow"
    retryable = True


class DiscordError(VelocastError):
    """The webhook did not take the message."""

    code = "discord"
    retryable = True


class DiscordRefused(DiscordError):
    """Discord will not take this message or knows the webhook no more; trying again cannot help."""

    code = "discord_refused"
    retryable = False
