"""Gaps rebuilt: estimates of hours without a usable count, from what is known on both sides of them."""
