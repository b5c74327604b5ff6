"""The stack's own servers: one HTTP port for Google's REST APIs and the city's, a proxy, and two gRPC ports."""

from __future__ import annotations

import time
from dataclasses import asdict

import yaml
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from gcp_emulators.cloud_logging.api import logging_routes
from gcp_emulators.cloud_run.api import CloudRunApi
from gcp_emulators.cloud_run.jobs import CloudRun
from gcp_emulators.cloud_run.knative_services import KnativeServices
from gcp_emulators.cloud_run.services import CloudRunServices
from gcp_emulators.core.clock import Clock, ClockRefused
from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.forwarding import forwarding_routes
from gcp_emulators.core.http_server import HttpServer
from gcp_emulators.core.proxy import Proxy
from gcp_emulators.core.rest import Json, json_endpoint
from gcp_emulators.core.warm_python import WarmPython
from gcp_emulators.monitoring.metrics_receiver import MetricsReceiver
from gcp_emulators.pubsub.broker import Broker
from gcp_emulators.pubsub.grpc_server import PubSubServer
from gcp_emulators.pubsub.rest import pubsub_routes
from gcp_emulators.scheduler.scheduler import Scheduler
from gcp_emulators.storage.api import storage_routes
from gcp_emulators.storage.store import ObjectStore
from gcp_emulators.workflows.api import executions_grpc_server, executions_routes
from gcp_emulators.workflows.executions import WorkflowExecutions
from velocast.core.city import load_city
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import EventError
from velocast_cli.html_templates import render_html
from velocast_local.city import open_meteo_replay, opendatasoft_replay
from velocast_local.city.open_meteo_replay import WeatherReplay
from velocast_local.city.replayed_city import SYNTHETIC_CITY
from velocast_local.discord import inbox
from velocast_local.stack import function_servers
from velocast_local.stack.configuration import (
    NAME_PREFIX,
    find_workflows,
    load_functions,
    load_jobs,
    load_schedules,
)
from velocast_local.stack.environment import process_environment
from velocast_local.stack.log_files import stack_log_files
from velocast_local.stack.project import mlflow_instance, project_routes
from velocast_local.stack.state import StackState

BUCKETS = {"models": True, "reports": False, "datasets": False, "site": False}  # name: versioned
DELIVERIES_SHOWN = 1000
IDLE_POLL_SECONDS = 0.05
_BIGQUERY_PATHS = (
    "/bigquery/v2",
    "/upload/bigquery/v2",
    "/resumable/upload/bigquery/v2",
    "/$discovery/rest",
    "/discovery/v1/apis",
)
_START_LINKS = {
    "Dashboard and API": "dashboard",
    "MLflow": "mlflow",
    "Discord inbox": "discord",
    "Metrics (Prometheus text)": "metrics",
}


class ControlPlane:
    """The parts that run in the supervisor's process. `start` opens the ports, `stop` closes them in order.

    python: starts the processes of jobs and workflow executions; None starts a new Python for each.
    """

    def __init__(self, state: StackState, python: WarmPython | None = None) -> None:
        self.state = state
        self._python = python
        self.clock = Clock(state.clock_file)
        self.functions = load_functions(state.config / "functions.yaml")
        self.broker = Broker(state.home / "pubsub", self.clock.now, project=state.project)
        self.objects = ObjectStore(state.home / "objects", self.clock.now)
        self.jobs = self._cloud_run()
        self.service_records = DocumentStore(state.home / "services")
        self.services = self._cloud_run_services()
        self.executions = self._workflow_executions()
        self.scheduler = self._scheduler()
        self.database = mlflow_instance(state, self.clock.now)
        self.metrics = MetricsReceiver(state.home / "metrics")
        self._make_buckets_and_topics()
        self._http = HttpServer(self.routes(), state.ports["http"])
        self._proxy = Proxy(state.ports["proxy"], state.ports["http"])
        self._pubsub = PubSubServer(self.broker, state.ports["pubsub"])
        self._grpc = executions_grpc_server(self.executions, state.ports["executions"])

    def start(self) -> None:
        """Open all ports."""
        self._http.start()
        self._proxy.start()
        self._pubsub.start()
        self._grpc.start()

    def stop(self) -> None:
        """Stop executions and jobs, then deliveries, then the servers; write persistent state to disk."""
        self.executions.stop()
        self.jobs.stop()
        self._pubsub.stop()
        self._grpc.stop(grace=1).wait()
        self._proxy.stop()
        self._http.stop()
        self.broker.close()
        self.objects.close()

    def deliver_to(self, name: str) -> None:
        """Start to push messages to a function. Call this when the function is listening."""
        function = self.functions[name]
        if function.topic:
            resource = function_servers.push_subscription(name, function, self.state)
            self.broker.put_subscription(resource, function.concurrency * function.max_instances)

    def _cloud_run(self) -> CloudRun:
        state = self.state
        return CloudRun(
            load_jobs(state.config / "jobs.yaml"),
            scripts=state.root / "workflows" / "jobs",
            records=DocumentStore(state.home / "job-executions"),
            logs=state.logs / "jobs",
            clock=self.clock,
            environment=lambda names: process_environment(state, names),
            clock_variable="VELOCAST_AS_OF",
            python=self._python,
        )

    def _cloud_run_services(self) -> CloudRunServices:
        """Return the services: one for each function called over HTTP, with the checkout as its only revision."""
        records = self.service_records
        served = {NAME_PREFIX + n: f for n, f in self.functions.items() if f.topic is None}
        made = CloudRunServices(
            records,
            self.clock.now,
            project=self.state.project,
            location=self.state.location,
            environment=lambda service: function_servers.variables(served[service], self.state),
        )
        for name, function in self.functions.items():
            if function.topic is None and records.get(NAME_PREFIX + name) is None:
                made.deploy(NAME_PREFIX + name, f"local/{name}", uri=self.state.part_url(name))
        return made

    def _workflow_executions(self) -> WorkflowExecutions:
        state = self.state
        return WorkflowExecutions(
            find_workflows(state.root / "workflows"),
            project=state.project,
            location=state.location,
            records=DocumentStore(state.home / "workflow-executions"),
            folder=state.logs / "workflows",
            clock_file=state.clock_file,
            endpoint=state.url,
            environment=lambda: process_environment(state),
            variable_prefix="VELOCAST_",
            python=self._python,
        )

    def _scheduler(self) -> Scheduler:
        city_file = self.state.city_file
        return Scheduler(
            load_schedules(
                self.state.config / "schedules.yaml",
                load_city(str(city_file)) if city_file.is_file() else None,
            ),
            project=self.state.project,
            location=self.state.location,
            records=DocumentStore(self.state.home / "scheduler"),
            clock=self.clock,
            publish=self.broker.publish,
        )

    def _make_buckets_and_topics(self) -> None:
        for name, versioned in BUCKETS.items():
            self.objects.ensure_bucket(f"{self.state.project}-{name}", versioning=versioned)
        text = (self.state.config / "topics.yaml").read_text(encoding="utf-8")
        for topic, entry in yaml.safe_load(text).items():
            self.broker.ensure_topic(topic)
            if keeper := entry.get("keep_subscription"):
                self.broker.put_subscription({"name": keeper, "topic": topic})

    def routes(self) -> list[BaseRoute]:
        """Return the routes of all HTTP servers; those of BigQuery are forwarded to its emulator."""
        state = self.state
        return [
            *self._local_routes(),
            *project_routes(state),
            *self.database.routes(),
            *self._city_routes(),
            *inbox.inbox_routes(state.home / "discord"),
            *self.metrics.routes(),
            *self.scheduler.routes(),
            *executions_routes(self.executions),
            *CloudRunApi(self.jobs, state.project, state.location).routes(),
            *self.services.routes(),
            *KnativeServices(
                self.service_records, project=state.project, location=state.location
            ).routes(),
            *logging_routes(
                state.project,
                lambda: stack_log_files(state, self.functions, self.jobs, self.executions),
            ),
            *function_servers.function_routes(self.functions, state),
            *pubsub_routes(self.broker),
            *forwarding_routes(state.part_url("bigquery"), _BIGQUERY_PATHS),
            *storage_routes(self.objects),
        ]

    def _city_routes(self) -> list[BaseRoute]:
        if self.state.replay is None:
            return []
        city = load_city(str(self.state.city_file))
        # A replayed file is served as it is. A synthetic city publishes corrections later, as real cities do.
        synthetic = city.name == load_city(SYNTHETIC_CITY).name
        replay = opendatasoft_replay.Replay(
            self.state.published_counts, self.clock.now, city=city, corrections=synthetic
        )
        file = self.state.weather
        weather = None if file is None else WeatherReplay(file, self.clock.now)
        return [
            *opendatasoft_replay.city_routes(replay),
            *open_meteo_replay.weather_routes(weather),
        ]

    def _local_routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/local/clock", json_endpoint(self._get_clock), methods=["GET"]),
            Route("/local/clock", json_endpoint(self._set_clock), methods=["POST"]),
            Route("/local/idle", json_endpoint(self._idle), methods=["GET"]),
            Route("/local/deliveries", json_endpoint(self._deliveries), methods=["GET"]),
        ]

    def _idle(self, request: Request, _body: Json) -> Json:
        """Answer once the stack is idle, at the latest after `wait` seconds, by default at once."""
        deadline = time.monotonic() + float(request.query_params.get("wait", 0))
        while not (found := self.activity())["idle"] and time.monotonic() < deadline:
            time.sleep(IDLE_POLL_SECONDS)
        return found

    def activity(self) -> Json:
        """Return whether the stack is idle: all messages delivered, no execution or job running."""
        # A message may start an execution, which may publish a message as its last step: check both twice.
        running = self.executions.active() + self.jobs.active()
        delivering = not self.broker.idle()
        running += self.executions.active() + self.jobs.active()
        delivering |= not self.broker.idle()
        return {
            "idle": not running and not delivering,
            "delivering": delivering,
            "running": running > 0,
        }

    def _get_clock(self, _request: Request, _body: Json) -> Json:
        return {"now": rfc3339(self.clock.now())}

    def _set_clock(self, _request: Request, body: Json) -> Json:
        try:
            moment = parse_instant(body.get("now", ""), name="now")
            now = self.clock.set(moment, force=bool(body.get("force")))
        except (ClockRefused, EventError) as exc:
            raise GoogleApiError(400, str(exc)) from exc
        self.database.back_up_if_due()
        return {"now": rfc3339(now)}

    def _deliveries(self, request: Request, _body: Json) -> Json:
        limit = int(request.query_params.get("limit", DELIVERIES_SHOWN))
        return {"deliveries": [asdict(delivery) for delivery in self.broker.deliveries(limit)]}

    async def _page(self, _request: Request) -> Response:
        urls = self.state.urls()
        links = {label: urls[key] for label, key in _START_LINKS.items()}
        now = rfc3339(self.clock.now())
        page = render_html(
            "velocast_local.stack", "start", city=self.state.city, now=now, links=links
        )
        return HTMLResponse(page)
