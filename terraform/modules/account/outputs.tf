output "email" {
  description = "Address of the account: whoever reads it waits until the account's grants are known everywhere."
  value       = local.email
  depends_on  = [time_sleep.settled]
}

output "id" {
  description = "Full name of the account, projects/<project>/serviceAccounts/<email>; it waits as email does."
  value       = "projects/${var.project_id}/serviceAccounts/${local.email}"
  depends_on  = [time_sleep.settled]
}

output "member" {
  description = "The account as an IAM member; it waits as email does."
  value       = local.member
  depends_on  = [time_sleep.settled]
}
