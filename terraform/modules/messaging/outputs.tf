output "dead_letter_subscription" {
  description = "Name of the subscription that keeps dead letters."
  value       = one([for subscription in google_pubsub_subscription.keep : subscription.name])
}

output "dead_letter_topic" {
  description = "Full name of the dead-letter topic. Reading it waits until Pub/Sub may publish there."
  value       = one([for name, _ in local.keep : local.ids[name]])
  depends_on  = [google_pubsub_topic_iam_member.dead_letters]
}

output "schedules" {
  description = "Names of the scheduler jobs."
  value       = [for name, _ in google_cloud_scheduler_job.this : name]
}

output "topic_ids" {
  description = "Full names of the topics, by name."
  value       = local.ids
}

output "topics" {
  description = "Names of the topics, each under its own name."
  value       = { for name, topic in google_pubsub_topic.this : name => topic.name }
}
