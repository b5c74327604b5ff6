"""A Discord channel on one machine: takes webhook messages and shows them."""
