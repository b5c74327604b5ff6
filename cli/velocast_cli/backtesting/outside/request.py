"""Which outside forecasters a backtest is compared with, and how `--against NAME=COMMAND` names them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True)
class OutsideForecaster:
    """A command that speaks the protocol (`process.py`), and the name under which its scores are shown."""

    name: str
    command: str

    @property
    def arguments(self) -> list[str]:
        """The command as a list for the operating system."""
        return shlex.split(self.command)


@dataclass(frozen=True)
class OutsideRequest:
    """The outside forecasters, and on which part of the backtest they are compared.

    every: take each n-th origin only. counters: take so many counters, chosen at random with the project's seed; None
    for all. timeout: seconds that one origin's answer may take, fits included.
    """

    forecasters: tuple[OutsideForecaster, ...] = ()
    every: int = 1
    counters: int | None = None
    timeout: float = TIMEOUT_SECONDS


def parse_outside(text: str, taken: set[str]) -> OutsideForecaster:
    """Return the forecaster that `NAME=COMMAND` describes. taken: names of other models.

    Raises ValueError, which says what is wrong with it.
    """
    name, _, command = (part.strip() for part in text.partition("="))
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{text!r}: the name {name!r} must start with a letter and have at most 40 letters, digits, - or _"
        )
    if name in taken:
        raise ValueError(f"{text!r}: the name {name!r} is taken; choose another")
    forecaster = OutsideForecaster(name, command)
    try:
        arguments = forecaster.arguments
    except ValueError as exc:
        raise ValueError(f"{text!r}: the command cannot be read: {exc}") from exc
    if not arguments:
        raise ValueError(f"{text!r}: no command after {name}=; give the command that forecasts")
    return forecaster
