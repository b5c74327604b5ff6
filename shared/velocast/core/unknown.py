"""A value for what could not be found out."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Unknown(BaseModel):
    """A check that could not run, and why. Never 0, never "no drift"."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    reason: str
