"""Numbers as the reasons of decisions show them."""

from __future__ import annotations


def short(value: float) -> str:
    """Write a number with up to four decimals, without trailing zeros."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
