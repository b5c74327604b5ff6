"""predict: forecasts five days for every counter and publishes the serving snapshot. Topic velocast-predict."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from velocast.ground.messages import PredictRequest
from velocast.ground.settings import PredictSettings
from velocast.usecases.forecast import forecast
from velocast.usecases.runtime import Runtime, handle

RUNTIME = Runtime(PredictSettings.load(), component="predict")


@functions_framework.cloud_event
def predict(event: CloudEvent) -> None:
    """Handle one message of the topic velocast-predict."""
    handle(event, PredictRequest, RUNTIME, forecast, event_type="PREDICTION")
