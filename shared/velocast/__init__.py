"""Velocast: hourly bike forecasts for every counter of a city.

Layers, each importing only from those below it (`make check` verifies it with import-linter; the contracts are in
pyproject.toml): `usecases` -> `model` | `adapters` -> `core`.
"""
