"""The relays of a soak: in front of the services that functions and jobs call, and in front of each function."""

from __future__ import annotations

import json
from contextlib import ExitStack
from types import TracebackType

import httpx

from gcp_emulators.core.http_server import LOOPBACK
from gcp_emulators.core.relays import GrpcRelay, HttpRelay, Relay
from velocast_local.stack.state import StackState

FUNCTIONS = ("fetch", "predict", "monitor", "notify")
# Cloud Run lets a request wait while it starts an instance.
INSTANCE_SECONDS = 60.0
REPLAYS = 5


class StackRelays:
    """Relays to the parts of a stack, which may be started after them; a context manager.

    state: of the stack, for its ports. `ports` is what `lifecycle.start_stack` takes, `by_name` holds the relays.
    """

    def __init__(self, state: StackState) -> None:
        self._state = state
        self._stack = ExitStack()
        self._events: dict[str, list[tuple[str, str, bytes]]] = {name: [] for name in FUNCTIONS}
        storage = f"{LOOPBACK}:{state.ports['bigquery_storage']}"
        self.http: dict[str, HttpRelay] = {
            "bigquery": HttpRelay(state.part_url("bigquery")),
            "storage": HttpRelay(state.url),
            "mlflow": HttpRelay(state.part_url("mlflow")),
            "discord": HttpRelay(state.url),
        } | {name: self._function_relay(name) for name in FUNCTIONS}
        self._grpc = GrpcRelay(storage)
        self.by_name: dict[str, Relay] = {**self.http, "bigquery_storage": self._grpc}

    def _function_relay(self, name: str) -> HttpRelay:
        def keep(_method: str, path: str, body: bytes) -> None:
            message = str(json.loads(body)["message"]["messageId"])
            self._events[name].append((message, path, body))

        return HttpRelay(self._state.part_url(name), patience=INSTANCE_SECONDS, heard=keep)

    def __enter__(self) -> StackRelays:
        for relay in self.http.values():
            self._stack.enter_context(relay)
        self._stack.enter_context(self._grpc)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @property
    def ports(self) -> dict[str, int]:
        """Service or function to the port of its relay."""
        return {name: relay.port for name, relay in self.http.items()} | {
            "bigquery_storage": self._grpc.port
        }

    def clear(self) -> None:
        """Take all faults back."""
        for relay in self.by_name.values():
            relay.clear()

    def events(self, function: str) -> list[str]:
        """Return the ids of the messages pushed to a function so far, the newest last, each once."""
        return list(dict.fromkeys(message for message, _, _ in self._events[function]))

    def replay(self, function: str, message: str) -> bool:
        """Push a message once more, until the function has processed it; return whether it did."""
        path, body = next((p, b) for m, p, b in self._events[function] if m == message)
        url = f"http://{LOOPBACK}:{self.http[function].port}{path}"
        headers = {"content-type": "application/json"}
        for _ in range(REPLAYS):
            answer = httpx.post(url, content=body, headers=headers, timeout=600, trust_env=False)
            if answer.is_success:
                return True
        return False
