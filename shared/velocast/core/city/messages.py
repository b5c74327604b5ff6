"""Which messages to people go where, and when."""

from __future__ import annotations

from datetime import datetime, time
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from velocast.core.city.reading import Strict

Severity = Literal["critical", "warning", "info"]
DISCORD = "discord"
ALL = "all"
CLOCK_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class QuietHours(Strict):
    """Hours of the city's clock, every day: from `since` until `until`, past midnight where that is the earlier one."""

    since: str = Field(
        description='First minute, such as "22:00" (with quotes).', pattern=CLOCK_TIME
    )
    until: str = Field(
        description='First minute that is not quiet, such as "07:00".', pattern=CLOCK_TIME
    )

    @model_validator(mode="after")
    def _last_less_than_a_day(self) -> Self:
        if self.since == self.until:
            raise ValueError(
                f"quiet hours from {self.since} until {self.until} have no end; give two different times of the day"
            )
        return self

    def hold(self, at: datetime, zone: ZoneInfo) -> bool:
        """Return whether a moment lies in these hours."""
        since, until = time.fromisoformat(self.since), time.fromisoformat(self.until)
        now = at.astimezone(zone).time()
        return since <= now < until if since < until else now >= since or now < until


class Messages(Strict):
    """Which channels get which messages. `discord` is the webhook; others are lines of the secret velocast-channels."""

    critical: tuple[str, ...] = (DISCORD,)
    warning: tuple[str, ...] = (DISCORD,)
    info: tuple[str, ...] = (DISCORD,)
    quiet_hours: dict[str, QuietHours | None] = Field(
        {},
        description="Hours of a channel in which it gets only what is critical; the rest waits for their end. `all`: "
        "those of channels that are not named here; null: none.",
    )

    @model_validator(mode="after")
    def _quiet_channels_are_named(self) -> Self:
        unknown = sorted(self.quiet_hours.keys() - self.named - {ALL})
        if unknown:
            verb = "gets" if len(unknown) == 1 else "get"
            raise ValueError(
                f"quiet_hours names {', '.join(unknown)}, which {verb} no messages; name "
                f"{' or '.join([ALL, *sorted(self.named)])}"
            )
        return self

    def channels(self, severity: Severity) -> tuple[str, ...]:
        """Return the names of the channels that get messages of this severity."""
        named: tuple[str, ...] = getattr(self, severity)
        return named

    @property
    def named(self) -> frozenset[str]:
        """The names of all channels that get messages."""
        return frozenset((*self.critical, *self.warning, *self.info))

    def quiet(self, channel: str, at: datetime, zone: ZoneInfo) -> bool:
        """Return whether a channel gets only what is critical at this moment."""
        hours = self.quiet_hours.get(channel, self.quiet_hours.get(ALL))
        return hours is not None and hours.hold(at, zone)
