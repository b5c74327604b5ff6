"""The APIs of the city and of the weather service, replayed from files at the simulated time."""
