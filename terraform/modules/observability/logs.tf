# What the hosts write goes here by the environment's key; the balancer's and the network's records go to a bucket.
resource "aws_cloudwatch_log_group" "hosts" {
  name              = "/slipway/${var.name}/hosts"
  retention_in_days = var.retention_days
  kms_key_id        = var.kms_key_arn
}
