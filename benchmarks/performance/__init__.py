"""Seconds, memory and cost, of a fit, a city of any size, the API, the page and the whole stack."""
