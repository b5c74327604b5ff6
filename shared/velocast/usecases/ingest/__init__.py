"""The function `fetch`: counts, counters and weather are read, checked and stored."""
