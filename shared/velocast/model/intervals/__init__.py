"""The width of prediction intervals: conformal calibration, learned residual scale, daily adaptation."""
