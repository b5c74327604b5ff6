"""A local Discord channel: accepts webhook messages and shows them."""
