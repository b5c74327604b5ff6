"""The value that stands for an unknown result."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Unknown(BaseModel):
    """The result of a check that could not run, with the reason. It is never read as 0 or as "no drift"."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    reason: str
