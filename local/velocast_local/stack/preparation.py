"""What is settled before a stack starts: its files, its city, its ports, its secrets."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from gcp_emulators.core.clock import Clock
from gcp_emulators.core.http_server import LOOPBACK, free_port
from velocast.core.city import City, load_city
from velocast_cli.cities import city_of, read_files_of
from velocast_local.city.files import CityFiles, choose_files, make_synthetic, synthetic_files
from velocast_local.city.replayed_city import SYNTHETIC_CITY, replayed_city, write_description
from velocast_local.city.replayed_counts import has_quality, write_counts
from velocast_local.stack.configuration import load_functions
from velocast_local.stack.state import (
    BASE_PARTS,
    PUBLISHED_COUNTS,
    StackFailed,
    StackState,
    read_state,
)

HISTORY_DAYS = 90
DAYS_AHEAD = 60

Say = Callable[[str], None]


def prepare_stack(
    home: Path,
    root: Path,
    *,
    replay: Path | None,
    weather: Path | None,
    city: str | None,
    relays: Mapping[str, int],
    say: Say,
) -> StackState:
    """Settle a stack's files, city and ports, and write what its city publishes. Arguments as for `start_stack`."""
    files = _files(home, replay, weather, say)
    described = _described(home, files.counts, replay, city, say)
    state = replace(_settle(home, root, files, described.name), relays=dict(relays))
    _publish(state, described)
    return state


def _files(home: Path, replay: Path | None, weather: Path | None, say: Say) -> CityFiles:
    try:
        return choose_files(read_state(home), replay, weather, lambda: _synthetic(home, say))
    except FileNotFoundError as exc:
        raise StackFailed(str(exc)) from exc


def _described(home: Path, counts: Path, replay: Path | None, city: str | None, say: Say) -> City:
    """Return the requested city, else that of the last start; new counts without a city are nobody's.

    Reads the counts as the city describes them and writes what the stack publishes.
    """
    last = read_state(home)
    published = home / PUBLISHED_COUNTS
    known: City | None = None
    if city is not None:
        known = city_of(city)
    elif replay is None and last is not None and last.described_city.exists():
        known = load_city(str(last.described_city))
        if published.exists() and published.stat().st_mtime > counts.stat().st_mtime:
            return known
    elif replay is None:
        known = load_city(last.city if last else SYNTHETIC_CITY)
    found, read = read_files_of(known, [counts], say)
    write_counts(read, published)
    return found


def _publish(state: StackState, described: City) -> None:
    """Write the description of the city, and of what the stack publishes of it."""
    write_description(described, state.described_city)
    marked = has_quality(state.published_counts)
    city = replayed_city(described, state.url, weather=state.weather is not None, marked=marked)
    write_description(city, state.city_file)


def _settle(home: Path, root: Path, files: CityFiles, city: str) -> StackState:
    """Return the state of the new stack, with the ports of the last one where they are free."""
    last = read_state(home)
    config = root / "terraform" / "config" / "functions.yaml"
    parts = [*BASE_PARTS, *load_functions(config)]
    ports = _ports(parts, last.ports if last else {})
    return StackState(home, root, city, files.counts, ports, weather=files.weather)


def _synthetic(home: Path, say: Say) -> CityFiles:
    files = synthetic_files(home)
    if all(file and file.exists() for file in files):
        return files
    say("generating a synthetic city")
    until = Clock(home / "clock").now().date() + timedelta(days=DAYS_AHEAD)
    return make_synthetic(home, days=HISTORY_DAYS + DAYS_AHEAD, until=until)


def _ports(parts: list[str], last: dict[str, int]) -> dict[str, int]:
    """Return a port for each part: the last one if it is free, so that noted addresses stay valid."""
    chosen: dict[str, int] = {}
    for part in parts:
        port = last.get(part, 0)
        while port in (0, *chosen.values()) or not _is_free(port):
            port = free_port()
        chosen[part] = port
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((LOOPBACK, port)) != 0


def write_secrets(state: StackState) -> None:
    """Write the files that Secret Manager mounts in the cloud; API keys are generated once and kept."""
    folder = state.home / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = folder / "api-keys"
    if not keys.exists():
        _write_private(keys, f"local:{secrets.token_urlsafe(24)}\n")
    port = state.relays.get("discord", state.ports["http"])
    webhook = f"http://{LOOPBACK}:{port}/discord/api/webhooks/1/local\n"
    _write_private(folder / "discord-webhook", webhook)
    channels = folder / "channels"  # a person may add some
    if not channels.exists():
        _write_private(channels, "# one channel a line: NAME ADDRESS\n")
    _write_private(folder / "city-token", "a replayed city has no token\n")


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def api_key(home: Path) -> str:
    """Return the first API key of the stack in `home`."""
    lines = (home / "secrets" / "api-keys").read_text(encoding="utf-8").splitlines()
    return lines[0].partition(":")[2].strip()
