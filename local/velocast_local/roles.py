"""The roles of an account, as terraform/config/*.yaml gives them. A laptop has no IAM: they are only checked."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Roles(BaseModel):
    """`project` lists roles on the whole project; the others map a resource to the one role on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: tuple[str, ...] = ()
    datasets: dict[str, str] = {}
    buckets: dict[str, str] = {}
    topics: dict[str, str] = {}
    secrets: dict[str, str] = {}
