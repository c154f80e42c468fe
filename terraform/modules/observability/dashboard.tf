locals {
  front_door = ["AWS/ApplicationELB", "LoadBalancer", var.load_balancer.arn_suffix]

  panels = {
    "Requests and failures a minute" = [
      for metric in ["RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"] : [
        local.front_door[0], metric, local.front_door[1], local.front_door[2], { stat = "Sum" }
      ]
    ]
    "Seconds to answer" = [
      for statistic in ["p50", "p99"] : [
        local.front_door[0], "TargetResponseTime", local.front_door[1], local.front_door[2], { stat = statistic }
      ]
    ]
    "Healthy hosts" = [
      for group, suffix in var.load_balancer.target_groups : [
        "AWS/ApplicationELB", "HealthyHostCount", "TargetGroup", suffix,
        "LoadBalancer", var.load_balancer.arn_suffix, { stat = "Minimum", label = group }
      ]
    ]
    "Processor of hosts, %" = [
      for host, id in var.instances : ["AWS/EC2", "CPUUtilization", "InstanceId", id, { stat = "Average", label = host }]
    ]
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for title, metrics in local.panels : {
        type       = "metric"
        width      = 12
        height     = 6
        properties = { title = title, metrics = metrics, region = var.region, period = 60, view = "timeSeries" }
      }
    ]
  })
}
