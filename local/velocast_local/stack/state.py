"""The folder of a stack and the contents of its `stack.json`: the ports of the parts, the city, the files."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gcp_emulators.core.http_server import LOOPBACK
from velocast.core.errors import VelocastError

REPOSITORY = Path(__file__).resolve().parents[3]
PROJECT = "velocast-local"
LOCATION = "europe-west1"
CITY_FILE = "city.yaml"
PUBLISHED_COUNTS = "counts.parquet"
BASE_PARTS = ("http", "proxy", "pubsub", "executions", "bigquery", "bigquery_storage", "mlflow")


class StackFailed(VelocastError):
    """The stack could not be started or is not running; the message names the part and the end of its log."""

    code = "stack_failed"


@dataclass(frozen=True)
class StackState:
    """One stack.

    home: its folder; root: the checkout whose functions, workflows and configuration it runs; city: the name that
    is shown; replay: the file of counts that its city publishes; ports: part to port on the loopback address; pid:
    process id of the supervisor, 0 before its start; weather: the file of observed weather behind the replayed
    weather API, None without weather; relays: service to the port of a relay through which the stack's functions
    and jobs reach it (`bigquery`, `bigquery_storage`, `storage`, `mlflow`, `discord`), and function to that of a
    relay through which its messages are pushed.
    """

    home: Path
    root: Path
    city: str
    replay: Path | None
    ports: dict[str, int] = field(default_factory=dict)
    pid: int = 0
    project: str = PROJECT
    location: str = LOCATION
    environment: str = "dev"
    weather: Path | None = None
    relays: dict[str, int] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """File of the state."""
        return self.home / "stack.json"

    @property
    def url(self) -> str:
        """Base URL of the control plane."""
        return self.part_url("http")

    @property
    def clock_file(self) -> Path:
        """File of the simulated clock."""
        return self.home / "clock"

    @property
    def described_city(self) -> Path:
        """File of the city as its owner describes it."""
        return self.home / "described-city.yaml"

    @property
    def city_file(self) -> Path:
        """File of the city that the product reads: the same, published by the stack."""
        return self.home / CITY_FILE

    @property
    def published_counts(self) -> Path:
        """File of the counts that the city publishes, read from `replay` as the city's description says."""
        return self.home / PUBLISHED_COUNTS

    @property
    def logs(self) -> Path:
        """Folder of all logs."""
        return self.home / "logs"

    @property
    def config(self) -> Path:
        """Folder of the YAML files that Terraform reads too."""
        return self.root / "terraform" / "config"

    def part_url(self, part: str) -> str:
        """Return the base URL of a part."""
        return f"http://{LOOPBACK}:{self.ports[part]}"

    def urls(self) -> dict[str, str]:
        """Return the URLs to open in a browser."""
        return {
            "start": self.url + "/",
            "dashboard": self.part_url("serve") + "/" if "serve" in self.ports else "",
            "mlflow": self.part_url("mlflow"),
            "discord": self.url + "/discord",
            "metrics": self.url + "/metrics",
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the state with its URLs, as JSON's types."""
        plain = asdict(self) | {"home": str(self.home), "root": str(self.root)}
        plain["replay"] = None if self.replay is None else str(self.replay)
        plain["weather"] = None if self.weather is None else str(self.weather)
        return plain | {"url": self.url, "urls": self.urls()}

    def write(self) -> None:
        """Write the state to its file atomically."""
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(self.as_dict(), indent=2), encoding="utf-8")
        draft.replace(self.file)


def read_state(home: Path) -> StackState | None:
    """Return the state of the stack in `home`; None when there is no stack."""
    file = home / "stack.json"
    if not file.is_file():
        return None
    plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for derived in ("url", "urls"):
        plain.pop(derived)
    for name in ("home", "root", "replay", "weather"):
        plain[name] = Path(plain[name]) if plain.get(name) else None
    return StackState(**plain)


def known_state(home: Path) -> StackState:
    """Return the state of the stack in `home`. Raises StackFailed when there is none."""
    state = read_state(home)
    if state is None:
        raise StackFailed(f"no stack in {home}; start one with `velocast local up`")
    return state


def home_folder(home: Path | None = None) -> Path:
    """Return the folder of the stack: the given one, else VELOCAST_HOME, else `.velocast` in the checkout."""
    chosen = home or Path(os.environ.get("VELOCAST_HOME") or REPOSITORY / ".velocast")
    return chosen.expanduser().resolve()


def make_folder(home: Path) -> None:
    """Make the folder of a stack. Raises StackFailed."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StackFailed(
            f"{home} cannot be made ({exc.strerror}); choose another folder with --home"
        ) from exc
