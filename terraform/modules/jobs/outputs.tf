output "jobs" {
  description = "Names of the jobs, each under its own name. Reading them waits until the executor may run the jobs."
  value       = { for name, job in google_cloud_run_v2_job.this : name => job.name }
  depends_on  = [google_cloud_run_v2_job_iam_member.executor]
}
