"""A large city's forecasts by a Cloud Run Job: a plan, tasks that each make some parts, a step that publishes."""
