"""Forecasts of real cities against references, other forecasters, other weather and calendars."""
