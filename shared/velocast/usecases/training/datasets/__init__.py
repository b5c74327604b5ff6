"""The data of a training: frozen counts and weather, the baseline, the split of days, feature rows."""
