"""Measurements of accuracy, speed, memory and cost; `make bench` runs them."""
