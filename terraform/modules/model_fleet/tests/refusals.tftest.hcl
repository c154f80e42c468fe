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

run "refuses_1" {
  command = plan
  variables {
    # a name that is too long
    name = "a-name-of-twenty-five-letters"
    # no hosts
    hosts = {}
    # an old kind of key
    instance = { type = "t3.small", ssh_public_key = "ssh-rsa AAAA test" }
    # a balancer without clients
    load_balancer = { certificate_arn = "arn:1", client_cidrs = [], log_bucket = "logs" }
    # a port that needs root
    service = { port = 80 }
  }
  expect_failures = [var.name, var.hosts, var.instance, var.load_balancer, var.service]
}

run "refuses_2" {
  command = plan
  variables {
    # a weight that is too large
    weights = { stable = 1000, canary = 0 }
    # a disk that is too small
    instance = { type = "t3.small", ssh_public_key = "ssh-ed25519 AAAA test", disk_gib = 15 }
    # clients that are no network
    load_balancer = { certificate_arn = "arn:1", client_cidrs = ["everybody"], log_bucket = "logs" }
    # a home that is not absolute
    service = { home = "srv/slipway" }
  }
  expect_failures = [var.weights, var.instance, var.load_balancer, var.service]
}

run "refuses_3" {
  command = plan
  variables {
    # two hosts of one address
    hosts = {
      a = { zone = "eu-central-1a", private_ip = "10.20.128.11" }
      b = { zone = "eu-central-1a", private_ip = "10.20.128.11" }
    }
    # to drain for ever
    load_balancer = {
      certificate_arn       = "arn:1"
      client_cidrs          = ["203.0.113.0/24"]
      log_bucket            = "logs"
      drain_timeout_seconds = 3601
    }
  }
  expect_failures = [var.hosts, var.load_balancer]
}

run "refuses_4" {
  command = plan
  variables {
    # half a weight
    weights = { stable = 0.5, canary = 1 }
  }
  expect_failures = [var.weights]
}

run "refuses_5" {
  command = plan
  variables {
    # a zone that is not there
    hosts = { a = { zone = "eu-central-1c", private_ip = "10.20.128.11" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_6" {
  command = plan
  variables {
    # weights that leave nobody to answer
    weights = { stable = 0, canary = 0 }
  }
  expect_failures = [var.weights]
}

run "refuses_7" {
  command = plan
  variables {
    # an address of another zone
    hosts = { a = { zone = "eu-central-1b", private_ip = "10.20.128.11" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_8" {
  command = plan
  variables {
    # a group whose name is too long
    weights = { stable = 1, canary = 1, experimental = 1 }
  }
  expect_failures = [var.weights]
}

run "refuses_9" {
  command = plan
  variables {
    # an address that AWS keeps for itself
    hosts = { a = { zone = "eu-central-1a", private_ip = "10.20.128.3" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_10" {
  command = plan
  variables {
    # an address that is none
    hosts = { a = { zone = "eu-central-1a", private_ip = "ten" } }
  }
  expect_failures = [var.hosts]
}

run "refuses_11" {
  command = plan
  variables {
    # a host without a share
    hosts = { a = { zone = "eu-central-1a", private_ip = "10.20.128.11", group = "blue" } }
  }
  expect_failures = [var.hosts]
}
