"""What a backtest scores apart from its models: busy hours, counters without history, updates within the day."""
