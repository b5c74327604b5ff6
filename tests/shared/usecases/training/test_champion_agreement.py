"""Registry and summary follow the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import emulators
from tests.shared.usecases import champions
from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.core.errors import ObjectChanged
from velocast.usecases.training import champion_agreement


class Aliases:
    """Plays the registry: one alias; `before_set` runs before each write."""

    def __init__(self, version: int | None) -> None:
        self.version = version
        self.before_set: Iterator[Champion] = iter(())

    def get_alias(self, task: str, alias: str) -> int | None:
        assert (task, alias) == ("forecast", "champion")
        return self.version

    def set_alias(self, task: str, alias: str, version: int) -> None:
        next(self.before_set, None)
        self.version = version


def follow(registry: Aliases) -> Champion | None:
    found: Any = registry
    return champion_agreement.follow_manifest(emulators.objects(), found, "forecast")


def marks() -> dict[int, bool]:
    entries = champion_manifest.read_summary(emulators.objects())
    return {entry.version: entry.is_champion for entry in entries}


@pytest.mark.usefixtures("storage_buckets")
class TestFollowingTheManifest:
    def test_heals_registry_and_summary(self) -> None:
        champion = champions.publish(7)
        champions.enter(6, 0.8, is_champion=True)
        champions.enter(7, 0.9)
        registry = Aliases(6)

        assert follow(registry) == champion

        assert (registry.version, marks()) == (7, {6: False, 7: True})

    def test_enters_a_champion_that_the_summary_has_lost(self) -> None:
        champion = champions.publish(7)

        follow(Aliases(7))

        (entry,) = champion_manifest.read_summary(emulators.objects())
        assert (entry.version, entry.is_champion, entry.sha256) == (7, True, champion.sha256)

    def test_writes_nothing_where_all_agree(self) -> None:
        champions.publish(7)
        follow(Aliases(7))
        before = emulators.objects().read(champion_manifest.SUMMARY).generation

        follow(Aliases(7))

        assert emulators.objects().read(champion_manifest.SUMMARY).generation == before

    def test_follows_a_manifest_that_changes_meanwhile(self) -> None:
        champions.publish(7)
        registry = Aliases(6)
        registry.before_set = (champions.publish(v) for v in (8,))

        found = follow(registry)

        assert found is not None
        assert (found.version, registry.version) == (8, 8)
        assert marks() == {7: False, 8: True}

    def test_gives_up_when_it_keeps_changing(self) -> None:
        champions.publish(7)
        registry = Aliases(6)
        registry.before_set = (champions.publish(v) for v in range(8, 30))

        with pytest.raises(ObjectChanged, match="changed 10 times"):
            follow(registry)

    def test_does_nothing_without_a_champion(self) -> None:
        registry = Aliases(6)

        assert follow(registry) is None
        assert registry.version == 6
