"""The data of a training run: frozen counts and weather, the baseline, how days are split, feature rows."""
