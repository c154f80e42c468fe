output "roles" {
  description = "What workflows give to configure-aws-credentials."
  value       = { plan = aws_iam_role.plan.arn, apply = aws_iam_role.apply.arn }
}
