"""Velocast: hourly bike forecasts for every counter of a city.

Layers, each importing only from those below it (tests/test_layers.py holds them to it):
`usecases` -> `model` | `outside` -> `ground`.
"""
