"""The serving snapshot: what it shows besides the forecasts, how it is built, and how it is published."""
