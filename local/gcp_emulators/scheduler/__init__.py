"""Cloud Scheduler: jobs that publish to a topic."""
