"""A large city's forecasts by Cloud Run jobs: a plan, tasks that each make some parts, a step that publishes."""
