"""Outside forecasters for `velocast backtest --against`, each with its own environment (`.venv/bench/<name>`)."""
