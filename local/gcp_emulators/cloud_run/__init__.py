"""Cloud Run jobs: each execution is a child process."""
