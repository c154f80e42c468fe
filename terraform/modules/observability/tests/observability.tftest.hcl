mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:test-alarms" }
  }
}

variables {
  name          = "test"
  region        = "eu-central-1"
  instances     = { model-1 = "i-1", model-2 = "i-2" }
  load_balancer = { arn_suffix = "app/test/1", target_groups = { stable = "targetgroup/stable/1" } }
  kms_key_arn   = "arn:aws:kms:eu-central-1:111122223333:key/1"
}

run "everything_is_watched_and_told" {
  # the front door and every host are watched
  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.balancer : name => alarm.metric_name } == {
      failed-by-host     = "HTTPCode_Target_5XX_Count"
      failed-by-balancer = "HTTPCode_ELB_5XX_Count"
      slow               = "TargetResponseTime"
      unhealthy-stable   = "UnHealthyHostCount"
    }
    error_message = "Something about the front door is not watched."
  }
  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.host : name => alarm.dimensions["InstanceId"] } == {
      model-1-impaired = "i-1"
      model-1-busy     = "i-1"
      model-2-impaired = "i-2"
      model-2-busy     = "i-2"
    }
    error_message = "A host is not watched."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.balancer["unhealthy-stable"].dimensions["TargetGroup"] == "targetgroup/stable/1"
    error_message = "The alarm watches another target group."
  }

  # alarms are told
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.balancer), values(aws_cloudwatch_metric_alarm.host)) :
      alarm.alarm_actions == toset([aws_sns_topic.alarms.arn]) && alarm.ok_actions == toset([aws_sns_topic.alarms.arn])
    ])
    error_message = "An alarm reaches nobody."
  }

  # silence of a host is an alarm and silence of clients is none
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.host : alarm.treat_missing_data == "breaching"])
    error_message = "A machine that is gone raises no alarm."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.balancer : alarm.treat_missing_data == "notBreaching"])
    error_message = "A quiet night raises an alarm."
  }

  # logs and messages are encrypted and kept
  assert {
    condition     = aws_cloudwatch_log_group.hosts.kms_key_id == var.kms_key_arn && aws_sns_topic.alarms.kms_master_key_id == var.kms_key_arn
    error_message = "Another key encrypts, or none."
  }
  assert {
    condition     = aws_cloudwatch_log_group.hosts.retention_in_days == 365
    error_message = "Logs are not kept for a year."
  }

  # the dashboard shows every host
  assert {
    condition = alltrue([
      for id in ["i-1", "i-2"] : strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "\"InstanceId\",\"${id}\"")
    ])
    error_message = "A host is not on the dashboard."
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 4
    error_message = "A panel is missing."
  }

  # nobody is told unless somebody is named
  assert {
    condition     = length(aws_sns_topic_subscription.email) == 0
    error_message = "Somebody is told."
  }
}

run "as_told" {
  variables {
    limits = { p99_seconds = 0.1, failed_requests = 2 }
    email  = "models@example.com"
  }

  # limits are those that are given
  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.balancer : name => alarm.threshold } == {
      failed-by-host     = 2
      failed-by-balancer = 2
      slow               = 0.1
      unhealthy-stable   = 1
    }
    error_message = "The alarms have other limits."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.balancer["slow"].extended_statistic == "p99"
    error_message = "Slow is not by the slowest hundredth."
  }

  # who is named is told
  assert {
    condition     = one(aws_sns_topic_subscription.email).endpoint == "models@example.com"
    error_message = "Somebody else is told."
  }
}

run "refuses_1" {
  command = plan
  variables {
    # an address that is none
    email = "models"
    # to forget within a year
    retention_days = 30
    # a limit that always alarms
    limits = { failed_requests = 0 }
  }
  expect_failures = [var.email, var.retention_days, var.limits]
}

run "refuses_2" {
  command = plan
  variables {
    # a limit that never alarms
    limits = { cpu_percent = 101 }
  }
  expect_failures = [var.limits]
}
