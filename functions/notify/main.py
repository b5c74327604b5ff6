"""The function `notify` sends incidents and Velocast's own events to people. Topic: velocast-alerts."""

from __future__ import annotations

import functions_framework

from velocast.adapters.gcs import read_address
from velocast.core.requests import CloudEventLike
from velocast.core.settings import NotifySettings
from velocast.usecases.context import Runtime, handle
from velocast.usecases.notifications.alert_message import AlertMessage
from velocast.usecases.notifications.notify import notify_people

RUNTIME = Runtime(NotifySettings.load(read_address), component="notify")


@functions_framework.cloud_event
def notify(event: CloudEventLike) -> None:
    """Handle one message of the topic velocast-alerts."""
    handle(event, AlertMessage, RUNTIME, notify_people, event_type="ALERT")
