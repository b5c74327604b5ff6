"""HTTP requests and Google's connectors of a workflow, sent to local endpoints instead of Google's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests
from workflows_emulator.utils import WorkflowError

Json = dict[str, Any]
Sleep = Callable[[float], None]

HTTP_TIMEOUT_SECONDS = 300.0
CONNECTOR_TIMEOUT_SECONDS = 1800.0
FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 0.4
GOOGLE_HOSTS = ("storage", "run", "pubsub", "bigquery", "workflowexecutions", "workflows")


def local_url(url: str, endpoints: Mapping[str, str]) -> str:
    """Return `url` with Google's host replaced by the local endpoint; other hosts stay.

    endpoints: base URL by service (`storage`, `run`, ...). A regional host (`europe-west1-run.googleapis.com`) counts
    as its service.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    service = host.removesuffix(".googleapis.com").rpartition("-")[2]
    if not host.endswith(".googleapis.com") or service not in endpoints:
        return url
    base = urlsplit(endpoints[service])
    return urlunsplit((base.scheme, base.netloc, parts.path, parts.query, parts.fragment))


class OutgoingCalls:
    """Sends the requests of one execution; `request` and `connector` replace workflows-emulator's functions."""

    def __init__(self, endpoints: Mapping[str, str], sleep: Sleep = time.sleep) -> None:
        self._endpoints = endpoints
        self._sleep = sleep
        self._session = requests.Session()
        # Proxies in the environment must not be used between local servers.
        self._session.trust_env = False

    def request(
        self,
        method: str,
        url: str,
        timeout: float = HTTP_TIMEOUT_SECONDS,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        **_unused: Any,
    ) -> Json:
        """Send one HTTP request and return {code, headers, body}.

        `auth` is ignored: the emulators do not check tokens. Raises WorkflowError tagged HttpError
        (status of 400 and more), ConnectionError or TimeoutError, as the language documents them.
        """
        content = (
            {"data": body} if isinstance(body, str | bytes) or body is None else {"json": body}
        )
        text_query = {
            key: _query_text(value) for key, value in (query or {}).items() if value is not None
        }
        target = local_url(url, self._endpoints)
        try:
            answer = self._session.request(
                method,
                target,
                headers=dict(headers or {}),
                params=text_query,
                timeout=timeout,
                **content,
            )
        except requests.Timeout as exc:
            raise WorkflowError(
                message=f"{method} {url}: no answer in {timeout:g} s", tags=["TimeoutError"]
            ) from exc
        except requests.RequestException as exc:
            raise WorkflowError(message=f"{method} {url}: {exc}", tags=["ConnectionError"]) from exc
        result = {
            "code": answer.status_code,
            "headers": dict(answer.headers),
            "body": _body(answer),
        }
        if answer.status_code >= 400:
            message = f"HTTP server responded with error code {answer.status_code}"
            raise WorkflowError(message=message, tags=["HttpError"], **result)
        return result

    def connector(self, step: Json) -> Any:
        """Execute `call: googleapis.<service>.<version>...` and return the body of the response.

        It waits for long-running operations, as the real connectors do. Raises WorkflowError tagged OperationError if
        the operation fails, and TimeoutError after `connector_params.timeout` (the operation itself continues).
        """
        args = dict(step.get("args") or {})
        params = args.pop("connector_params", None) or {}
        document, method = discovered_method(str(step["call"]))
        url, query = _address(document, method, args)
        answer = self.request(method["httpMethod"], url, body=args.get("body"), query=query)["body"]
        is_operation = method.get("response", {}).get("$ref") in (
            "GoogleLongrunningOperation",
            "Operation",
        )
        if not is_operation or params.get("skip_polling"):
            return answer
        poll = f"{document['rootUrl']}{url.removeprefix(document['rootUrl']).split('/')[0]}/{answer['name']}"
        return self._wait(poll, answer, float(params.get("timeout", CONNECTOR_TIMEOUT_SECONDS)))

    def _wait(self, url: str, operation: Json, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        pause = FIRST_POLL_SECONDS
        while not operation.get("done"):
            if time.monotonic() >= deadline:
                message = f"{operation['name']}: not done within connector_params.timeout of {timeout:g} s"
                raise WorkflowError(message=message, tags=["TimeoutError"])
            self._sleep(min(pause, max(deadline - time.monotonic(), 0)))
            pause = min(pause * 1.25, LONGEST_POLL_SECONDS)
            operation = self.request("GET", url)["body"]
        if "error" in operation:
            error = operation["error"]
            message = f"Long-running operation failed: {error.get('message')}"
            raise WorkflowError(
                message=message, tags=["OperationError"], operation=operation, error=error
            )
        return operation.get("response")


def discovered_method(call: str) -> tuple[Json, Json]:
    """Find a connector in workflows-emulator's discovery documents and return (document, method).

    Raises WorkflowError if there is no such connector.
    """
    _, service, version, *resources, name = call.split(".")
    folder = files("workflows_emulator").joinpath("discovery_documents")
    try:
        document: Json = json.loads(
            folder.joinpath(f"{service}_{version}.json").read_text(encoding="utf-8")
        )
        found = document
        for resource in resources:
            found = found["resources"][resource]
        return document, found["methods"][name]
    except (FileNotFoundError, KeyError) as exc:
        raise WorkflowError(message=f"{call} is not a known connector", tags=["TypeError"]) from exc


def _address(document: Json, method: Json, args: Json) -> tuple[str, Json]:
    """Return a method's URL and its query parameters, filled from the step's arguments."""
    parameters = method.get("parameters", {})
    path = document["servicePath"] + method["path"]
    if args.get("uploadType") and "mediaUpload" in method:
        path = method["mediaUpload"]["protocols"]["simple"]["path"].lstrip("/")
    for name, spec in parameters.items():
        if spec.get("location") == "path":
            value = str(args[name])
            # {+name} is a whole resource name with its slashes; {name} is one segment that came encoded or needs to be.
            path = path.replace(f"{{+{name}}}", value)
            path = path.replace(f"{{{name}}}", quote(value, safe="%"))
    outside_path = {n for n, spec in parameters.items() if spec.get("location") != "path"}
    known = outside_path | {"alt", "uploadType", "fields"}
    return document["rootUrl"] + path, {key: args[key] for key in args if key in known}


def _query_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _body(answer: requests.Response) -> Any:
    return (
        answer.json()
        if "json" in answer.headers.get("Content-Type", "") and answer.content
        else answer.text
    )
