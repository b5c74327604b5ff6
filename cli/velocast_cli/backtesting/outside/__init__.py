"""Outside forecasters: commands that forecast the same hours of a backtest, through one small protocol."""
