"""The function `notify`: incidents and the system's own events, from topic velocast-alerts to Discord."""

from __future__ import annotations

import functions_framework

from velocast.core.requests import CloudEventLike
from velocast.core.settings import NotifySettings
from velocast.usecases.context import Runtime, handle
from velocast.usecases.notifications import notify as notifications

RUNTIME = Runtime(NotifySettings.load(), component="notify")


@functions_framework.cloud_event
def notify(event: CloudEventLike) -> None:
    """Tell Discord about one incident or event."""
    handle(event, notifications.AlertMessage, RUNTIME, notifications.notify, event_type="ALERT")
