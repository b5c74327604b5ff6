output "email" {
  description = "Email address of the account. Reading it waits until the account's grants have taken effect."
  value       = local.email
  depends_on  = [time_sleep.settled]
}

output "id" {
  description = "Full name of the account, projects/<project>/serviceAccounts/<email>; waits like email."
  value       = "projects/${var.project_id}/serviceAccounts/${local.email}"
  depends_on  = [time_sleep.settled]
}

output "member" {
  description = "The account as an IAM member; waits like email."
  value       = local.member
  depends_on  = [time_sleep.settled]
}
