locals {
  balancer = { LoadBalancer = var.load_balancer.arn_suffix }

  # Every alarm watches one metric for three minutes; where a metric is not there, nothing was asked.
  balancer_alarms = {
    failed-by-host = {
      description = "Hosts answered 5xx"
      metric      = "HTTPCode_Target_5XX_Count"
      statistic   = "Sum"
      limit       = var.limits.failed_requests
      dimensions  = local.balancer
    }
    failed-by-balancer = {
      description = "The balancer answered 5xx: no healthy host, or one that does not answer"
      metric      = "HTTPCode_ELB_5XX_Count"
      statistic   = "Sum"
      limit       = var.limits.failed_requests
      dimensions  = local.balancer
    }
    slow = {
      description = "One request in a hundred takes longer than ${var.limits.p99_seconds} s"
      metric      = "TargetResponseTime"
      statistic   = "p99"
      limit       = var.limits.p99_seconds
      dimensions  = local.balancer
    }
  }

  unhealthy_alarms = {
    for group, suffix in var.load_balancer.target_groups : "unhealthy-${group}" => {
      description = "A host of ${group} does not pass its health check"
      metric      = "UnHealthyHostCount"
      statistic   = "Maximum"
      limit       = 1
      dimensions  = merge(local.balancer, { TargetGroup = suffix })
    }
  }

  host_alarms = merge(
    {
      for host, id in var.instances : "${host}-impaired" => {
        description = "AWS's checks of ${host} fail: the machine or what it runs on is broken"
        metric      = "StatusCheckFailed"
        statistic   = "Maximum"
        limit       = 1
        instance    = id
      }
    },
    {
      for host, id in var.instances : "${host}-busy" => {
        description = "${host} has no processor to spare"
        metric      = "CPUUtilization"
        statistic   = "Average"
        limit       = var.limits.cpu_percent
        instance    = id
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "balancer" {
  for_each = merge(local.balancer_alarms, local.unhealthy_alarms)

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/ApplicationELB"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic == "p99" ? null : each.value.statistic
  extended_statistic  = each.value.statistic == "p99" ? "p99" : null
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.limit
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "host" {
  for_each = local.host_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/EC2"
  metric_name         = each.value.metric
  dimensions          = { InstanceId = each.value.instance }
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.limit
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "breaching" # a machine that says nothing is not well
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_subscription" "email" {
  count = var.email == null ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.email
}
