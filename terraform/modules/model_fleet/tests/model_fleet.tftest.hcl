mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/test/1" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/test/1" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
}

variables {
  name = "test"
  network = {
    vpc               = { id = "vpc-1", cidr = "10.20.0.0/16" }
    public_subnet_ids = ["subnet-1", "subnet-2"]
    private_subnets = {
      eu-central-1a = { id = "subnet-a", cidr = "10.20.128.0/20" }
      eu-central-1b = { id = "subnet-b", cidr = "10.20.144.0/20" }
    }
    s3_prefix_list_id = "pl-1"
  }
  hosts = {
    model-1 = { zone = "eu-central-1a", private_ip = "10.20.128.11", group = "canary" }
    model-2 = { zone = "eu-central-1b", private_ip = "10.20.144.11" }
  }
  weights = { stable = 90, canary = 10 }
  instance = {
    type           = "t3.small"
    ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0 test"
  }
  load_balancer = {
    certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    client_cidrs    = ["203.0.113.0/24"]
    log_bucket      = "logs"
  }
  log_group_arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/slipway/test"
  kms_key_arn   = "arn:aws:kms:eu-central-1:111122223333:key/1"
}

run "a_hardened_fleet_behind_tls" {
  # puts out hosts for the inventory
  assert {
    condition = output.hosts == {
      model-1 = { address = "10.20.128.11", connection = "ssh", ssh = output.instances["model-1"], home = "/srv/slipway", port = 8080 }
      model-2 = { address = "10.20.144.11", connection = "ssh", ssh = output.instances["model-2"], home = "/srv/slipway", port = 8080 }
    }
    error_message = "This is not what slipway.fleet.environment reads."
  }

  # hosts are private and hardened
  assert {
    condition     = { for name, host in aws_instance.this : name => host.subnet_id } == { model-1 = "subnet-a", model-2 = "subnet-b" }
    error_message = "A host is not in the private subnet of its zone."
  }
  assert {
    condition     = alltrue([for host in aws_instance.this : host.metadata_options[0].http_tokens == "required"])
    error_message = "The first version of the metadata service answers."
  }
  assert {
    condition     = alltrue([for host in aws_instance.this : host.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "The metadata service answers beyond the host."
  }
  assert {
    condition = alltrue([
      for host in aws_instance.this : host.root_block_device[0].encrypted && host.root_block_device[0].kms_key_id == var.kms_key_arn
    ])
    error_message = "A disk is not encrypted by the environment's key."
  }
  assert {
    condition     = { for name, host in aws_instance.this : name => host.tags["host"] } == { model-1 = "model-1", model-2 = "model-2" }
    error_message = "The inventory cannot name the hosts."
  }

  # hosts may only be managed and write logs
  assert {
    condition = jsondecode(aws_iam_role_policy.logs.policy).Statement == [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["arn:aws:logs:eu-central-1:111122223333:log-group:/slipway/test:*"]
    }]
    error_message = "A host may do something else."
  }
  assert {
    condition     = jsondecode(aws_iam_role.host.assume_role_policy).Statement[0].Principal == { Service = "ec2.amazonaws.com" }
    error_message = "Something else than a machine may take the role."
  }

  # hosts take requests from the balancer only
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.from_load_balancer.referenced_security_group_id == aws_security_group.load_balancer.id
      && aws_vpc_security_group_ingress_rule.from_load_balancer.from_port == 8080
      && aws_vpc_security_group_ingress_rule.from_load_balancer.to_port == 8080
    )
    error_message = "Hosts take something else from somebody else."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.to_endpoints.cidr_ipv4 == "10.20.0.0/16"
    error_message = "Hosts reach more than the network."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.to_s3.prefix_list_id == "pl-1"
    error_message = "Hosts do not reach S3."
  }

  # clients come by tls only
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.clients) == ["203.0.113.0/24"]
    error_message = "Somebody else may ask."
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.clients : rule.from_port == 443 && rule.to_port == 443])
    error_message = "The front door is open on another port."
  }
  assert {
    condition = (
      aws_lb_listener.https.protocol == "HTTPS"
      && aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
      && aws_lb_listener.https.certificate_arn == "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    )
    error_message = "TLS is old, or not there."
  }
  assert {
    condition     = aws_lb.this.drop_invalid_header_fields && aws_lb.this.enable_deletion_protection
    error_message = "The balancer passes invalid headers, or can be deleted."
  }

  # traffic is shared by weight
  assert {
    condition     = toset([for group in aws_lb_listener.https.default_action[0].forward[0].target_group : group.weight]) == toset([90, 10])
    error_message = "The listener's weights are others."
  }
  assert {
    condition     = { for group, target_group in aws_lb_target_group.this : group => target_group.name } == { stable = "test-stable", canary = "test-canary" }
    error_message = "There is not one target group for each weight."
  }
  assert {
    condition = alltrue([
      for group in aws_lb_target_group.this :
      group.health_check[0].path == "/readyz" && group.health_check[0].matcher == "200" && group.deregistration_delay == "30"
    ])
    error_message = "A host that is not ready takes requests, or a leaving one is cut off."
  }
  assert {
    condition     = keys(aws_lb_target_group_attachment.this) == ["model-1", "model-2"]
    error_message = "Not every host takes requests."
  }
}

run "unprotected_it_can_be_destroyed" {
  variables {
    load_balancer = {
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      client_cidrs    = ["203.0.113.0/24"]
      log_bucket      = "logs"
      protected       = false
    }
  }
  assert {
    condition     = aws_lb.this.enable_deletion_protection == false
    error_message = "The balancer cannot be deleted."
  }
}
