"""How wide the prediction intervals are: conformal calibration, learned error scale, daily adaptation."""
