"""The function `predict`: the coming five days for every counter, and the serving snapshot."""
