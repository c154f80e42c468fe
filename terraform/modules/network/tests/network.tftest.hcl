mock_provider "aws" {}

variables {
  name                = "test"
  cidr                = "10.20.0.0/16"
  region              = "eu-central-1"
  zones               = ["eu-central-1a", "eu-central-1b"]
  flow_log_bucket_arn = "arn:aws:s3:::logs"
}

run "two_zones_without_a_way_out" {
  # a public and a private subnet in each zone
  assert {
    condition = { for zone, subnet in aws_subnet.public : zone => subnet.cidr_block } == {
      eu-central-1a = "10.20.0.0/20"
      eu-central-1b = "10.20.16.0/20"
    }
    error_message = "The public subnets lie elsewhere."
  }
  assert {
    condition = { for zone, subnet in output.private_subnets : zone => subnet.cidr } == {
      eu-central-1a = "10.20.128.0/20"
      eu-central-1b = "10.20.144.0/20"
    }
    error_message = "The private subnets lie elsewhere: hosts' addresses would not fit."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch != true])
    error_message = "What starts in a public subnet has a public address without asking for one."
  }

  # private subnets have no way to the internet
  assert {
    condition     = aws_route.internet.route_table_id == aws_route_table.public.id
    error_message = "The route to the internet is not in the public table."
  }
  assert {
    condition     = aws_route_table.public.id != aws_route_table.private.id
    error_message = "The tables are the same."
  }
  assert {
    condition = alltrue([
      for association in aws_route_table_association.private : association.route_table_id == aws_route_table.private.id
    ])
    error_message = "A private subnet uses another table."
  }
  assert {
    condition = alltrue([
      for zone, association in aws_route_table_association.private : association.subnet_id == aws_subnet.private[zone].id
    ])
    error_message = "A private subnet has no table of its own kind."
  }

  # private hosts reach aws without it
  assert {
    condition = (
      aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
      && aws_vpc_endpoint.s3.route_table_ids == toset([aws_route_table.private.id])
    )
    error_message = "S3 is not reached through its gateway."
  }
  assert {
    condition = toset([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name]) == toset([
      "com.amazonaws.eu-central-1.ec2messages",
      "com.amazonaws.eu-central-1.logs",
      "com.amazonaws.eu-central-1.ssm",
      "com.amazonaws.eu-central-1.ssmmessages",
    ])
    error_message = "Session Manager or the logs cannot be reached."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "The services' own names lead to the internet, where no host comes."
  }

  # endpoints answer the network only
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.20.0.0/16"
      && aws_vpc_security_group_ingress_rule.endpoints.from_port == 443
      && aws_vpc_security_group_ingress_rule.endpoints.to_port == 443
    )
    error_message = "The endpoints are open for something else."
  }

  # everything is recorded
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_flow_log.this.log_destination == "arn:aws:s3:::logs"
    error_message = "Some of the traffic leaves no record."
  }
}

run "refuses_1" {
  command = plan
  variables {
    # what is no network
    cidr = "10.20.0.0"
    # one zone
    zones = ["eu-central-1a", "eu-central-1a"]
    # to pay for a way to s3
    interface_endpoints = ["s3"]
  }
  expect_failures = [var.cidr, var.zones, var.interface_endpoints]
}

run "refuses_2" {
  command = plan
  variables {
    # zones of another region
    region = "eu-west-1"
    # a network that is too small
    cidr = "10.20.0.0/23"
  }
  expect_failures = [var.region, var.cidr]
}
