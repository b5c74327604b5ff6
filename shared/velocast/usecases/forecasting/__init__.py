"""The function `predict`: forecasts the next five days for every counter and publishes the serving snapshot."""
