"""The function `predict` forecasts five days for every counter and publishes the snapshot. Topic: velocast-predict."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from velocast.adapters.gcs import read_address
from velocast.core.requests import PredictRequest
from velocast.core.settings import PredictSettings
from velocast.usecases.context import Runtime, handle
from velocast.usecases.forecasting.in_tasks.handing_over import forecast_or_hand_over

RUNTIME = Runtime(PredictSettings.load(read_address), component="predict")


@functions_framework.cloud_event
def predict(event: CloudEvent) -> None:
    """Handle one message of the topic velocast-predict."""
    handle(event, PredictRequest, RUNTIME, forecast_or_hand_over, event_type="PREDICTION")
