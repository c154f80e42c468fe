mock_provider "aws" {}

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

run "refuses_a_name_that_is_too_long" {
  command = plan
  variables {
    name = "a-name-of-twenty-five-letters"
  }
  expect_failures = [var.name]
}

run "refuses_no_hosts" {
  command = plan
  variables {
    hosts = {}
  }
  expect_failures = [var.hosts]
}

run "refuses_two_hosts_of_one_address" {
  command = plan
  variables {
    hosts = {
      a = { zone = "eu-central-1a", private_ip = "10.20.128.11" }
      b = { zone = "eu-central-1a", private_ip = "10.20.128.11" }
    }
  }
  expect_failures = [var.hosts]
}

run "refuses_a_zone_that_is_not_there" {
  command = plan
  variables {
    hosts = { a = { zone = "eu-central-1c", private_ip = "10.20.128.11" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_an_address_of_another_zone" {
  command = plan
  variables {
    hosts = { a = { zone = "eu-central-1b", private_ip = "10.20.128.11" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_an_address_that_is_aws_s_own" {
  command = plan
  variables {
    hosts = { a = { zone = "eu-central-1a", private_ip = "10.20.128.3" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_an_address_that_is_none" {
  command = plan
  variables {
    hosts = { a = { zone = "eu-central-1a", private_ip = "ten" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_a_host_without_a_share" {
  command = plan
  variables {
    hosts = { a = { zone = "eu-central-1a", private_ip = "10.20.128.11", group = "blue" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_a_weight_that_is_too_large" {
  command = plan
  variables {
    weights = { stable = 1000, canary = 0 }
  }
  expect_failures = [var.weights]
}

run "refuses_half_a_weight" {
  command = plan
  variables {
    weights = { stable = 0.5, canary = 1 }
  }
  expect_failures = [var.weights]
}

run "refuses_weights_that_leave_nobody_to_answer" {
  command = plan
  variables {
    weights = { stable = 0, canary = 0 }
  }
  expect_failures = [var.weights]
}

run "refuses_a_group_whose_name_is_too_long" {
  command = plan
  variables {
    weights = { stable = 1, canary = 1, experimental = 1 }
  }
  expect_failures = [var.weights]
}

run "refuses_an_old_kind_of_key" {
  command = plan
  variables {
    instance = { type = "t3.small", ssh_public_key = "ssh-rsa AAAA test" }
  }
  expect_failures = [var.instance]
}

run "refuses_a_disk_that_is_too_small" {
  command = plan
  variables {
    instance = { type = "t3.small", ssh_public_key = "ssh-ed25519 AAAA test", disk_gib = 15 }
  }
  expect_failures = [var.instance]
}

run "refuses_a_balancer_without_clients" {
  command = plan
  variables {
    load_balancer = { certificate_arn = "arn:1", client_cidrs = [], log_bucket = "logs" }
  }
  expect_failures = [var.load_balancer]
}

run "refuses_clients_that_are_no_network" {
  command = plan
  variables {
    load_balancer = { certificate_arn = "arn:1", client_cidrs = ["everybody"], log_bucket = "logs" }
  }
  expect_failures = [var.load_balancer]
}

run "refuses_to_drain_for_ever" {
  command = plan
  variables {
    load_balancer = {
      certificate_arn       = "arn:1"
      client_cidrs          = ["203.0.113.0/24"]
      log_bucket            = "logs"
      drain_timeout_seconds = 3601
    }
  }
  expect_failures = [var.load_balancer]
}

run "refuses_a_port_that_needs_root" {
  command = plan
  variables {
    service = { port = 80 }
  }
  expect_failures = [var.service]
}

run "refuses_a_home_that_is_not_absolute" {
  command = plan
  variables {
    service = { home = "srv/slipway" }
  }
  expect_failures = [var.service]
}
