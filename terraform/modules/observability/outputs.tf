output "log_group_arn" {
  description = "Where hosts write their logs."
  value       = aws_cloudwatch_log_group.hosts.arn
}

output "alarm_topic_arn" {
  description = "Where alarms are told."
  value       = aws_sns_topic.alarms.arn
}
