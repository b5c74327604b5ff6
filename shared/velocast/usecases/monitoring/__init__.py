"""The function `monitor`: validates recent forecasts, checks for drift and decides whether to retrain."""
