"""The city's and the weather service's APIs, replayed from files at the simulated time."""
