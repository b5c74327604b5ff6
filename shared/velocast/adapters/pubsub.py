"""Publishes messages to Pub/Sub."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from velocast.adapters import google_clients

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient
    from pydantic import BaseModel

PUBLISH_SECONDS = 60.0


class Publisher:
    """Publishes to the topics of one project. The client is created at first use."""

    def __init__(self, project: str) -> None:
        self.project = project

    @cached_property
    def _client(self) -> PublisherClient:
        return google_clients.publisher_client()

    def publish(self, topic: str, message: BaseModel) -> str:
        """Publish a message as JSON and return its id, once Pub/Sub has accepted it.

        The kind of a notice is also set as the attribute `event`, so that a subscription can filter on it.
        Raises google.api_core.exceptions.GoogleAPICallError (NotFound: no such topic), or TimeoutError after 60 s.
        """
        from google.api_core import retry

        path = f"projects/{self.project}/topics/{topic}"
        event = getattr(message, "event", None)
        attributes = {} if event is None else {"event": str(event)}
        future = self._client.publish(
            path,
            message.model_dump_json().encode("utf-8"),
            retry=retry.Retry(predicate=_is_transient, initial=0.2, timeout=PUBLISH_SECONDS / 2),
            timeout=PUBLISH_SECONDS / 2,
            **attributes,
        )
        return str(future.result(timeout=PUBLISH_SECONDS))


def _is_transient(error: Exception) -> bool:
    from google.api_core import exceptions

    kinds = (
        exceptions.Aborted,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.ServiceUnavailable,
        exceptions.Unknown,
    )
    return isinstance(error, kinds)
