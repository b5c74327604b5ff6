"""The function `fetch`: reads, checks and stores counts, counters and weather."""
