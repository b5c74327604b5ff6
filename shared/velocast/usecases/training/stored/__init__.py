"""What a retraining stores in the models bucket: its records, models, kept rows and the summary of versions."""
