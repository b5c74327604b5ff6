"""The function `monitor`: recent accuracy, drift, and the decision to retrain."""
