"""The `if...` parameters that a request can carry, such as ifGenerationMatch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.storage.resources import ObjectGeneration


@dataclass(frozen=True)
class Preconditions:
    """The `if...` parameters of a request; None for those that it does not have."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str], prefix: str = "if") -> Preconditions:
        """Read them from query parameters; `prefix` is `ifSource` for the source of a copy."""

        def number(name: str) -> int | None:
            text = query.get(prefix + name)
            return int(text) if text not in (None, "") else None

        return cls(
            number("GenerationMatch"),
            number("GenerationNotMatch"),
            number("MetagenerationMatch"),
            number("MetagenerationNotMatch"),
        )

    def check(self, who: str, current: ObjectGeneration | None, *, reading: bool = False) -> None:
        """Raise 412 if a condition does not hold, or 304 if a reader already has that generation."""
        generation = current.generation if current else 0
        metageneration = current.metageneration if current else 0
        wanted = (
            ("generation", self.generation, generation),
            ("metageneration", self.metageneration, metageneration),
        )
        for label, need, have in wanted:
            if need is not None and need != have:
                raise condition_not_met(f"{who}: {label} is {have}, the request needs {need}")
        refused = (
            ("generation", self.not_generation, generation),
            ("metageneration", self.not_metageneration, metageneration),
        )
        for label, bad, have in refused:
            if bad is not None and bad == have:
                if reading:
                    raise GoogleApiError(
                        304, f"{who}: {label} is still {have}", reason="notModified"
                    )
                raise condition_not_met(f"{who}: {label} is {have}, which the request refuses")


def condition_not_met(detail: str) -> GoogleApiError:
    """Return Cloud Storage's 412 with the condition that does not hold."""
    return GoogleApiError(
        412,
        f"At least one of the pre-conditions you specified did not hold. {detail}",
        reason="conditionNotMet",
    )
