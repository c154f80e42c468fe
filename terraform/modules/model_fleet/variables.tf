variable "name" {
  description = "Name of the environment."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,22}[a-z0-9]$", var.name))
    error_message = "name must have 2 to 24 lower-case letters, digits and hyphens: names of balancers are short."
  }
}

variable "network" {
  description = "Where the fleet lives: the outputs of the module `network`."
  type = object({
    vpc               = object({ id = string, cidr = string })
    public_subnet_ids = list(string)
    private_subnets   = map(object({ id = string, cidr = string }))
    s3_prefix_list_id = string
  })
}

variable "hosts" {
  description = "The machines by name. Each keeps its address for life, and takes its share of traffic in a group."
  type = map(object({
    zone       = string
    private_ip = string
    group      = optional(string, "stable")
  }))

  validation {
    condition     = length(var.hosts) > 0
    error_message = "hosts must not be empty."
  }
  validation {
    condition     = length(distinct([for host in var.hosts : host.private_ip])) == length(var.hosts)
    error_message = "hosts must have different private_ip."
  }
  validation {
    condition     = alltrue([for host in var.hosts : contains(keys(var.network.private_subnets), host.zone)])
    error_message = "hosts must be in a zone of the network."
  }
  validation {
    # The first four addresses of a subnet and its last are AWS's own.
    condition = alltrue([
      for host in var.hosts : try(
        cidrhost("${host.private_ip}/${split("/", var.network.private_subnets[host.zone].cidr)[1]}", 0)
        == cidrhost(var.network.private_subnets[host.zone].cidr, 0)
        && !contains([
          for number in [0, 1, 2, 3, -1] : cidrhost(var.network.private_subnets[host.zone].cidr, number)
        ], host.private_ip),
        # An unknown zone is another complaint.
        !contains(keys(var.network.private_subnets), host.zone),
      )
    ])
    error_message = "hosts must have a private_ip that is free in the private subnet of their zone."
  }
  validation {
    condition     = alltrue([for host in var.hosts : contains(keys(var.weights), host.group)])
    error_message = "hosts must be in a group that has a weight."
  }
}

variable "weights" {
  description = "Shares of the traffic by group of hosts. A roll-out may shift them for a while; these are those at rest."
  type        = map(number)
  default     = { stable = 100 }

  validation {
    condition     = alltrue([for weight in values(var.weights) : weight >= 0 && weight <= 999 && floor(weight) == weight])
    error_message = "weights must be whole numbers from 0 to 999."
  }
  validation {
    condition     = sum(concat([0], values(var.weights))) > 0
    error_message = "weights must not all be 0: nobody would answer."
  }
  validation {
    condition     = length(var.weights) <= 5 && alltrue([for group in keys(var.weights) : can(regex("^[a-z]{1,7}$", group))])
    error_message = "weights must be of at most five groups, named by 1 to 7 lower-case letters."
  }
}

variable "instance" {
  description = "What each machine is. `image_parameter` is the public parameter of SSM that names the image."
  type = object({
    type            = string
    ssh_public_key  = string
    disk_gib        = optional(number, 20)
    image_parameter = optional(string, "/aws/service/debian/release/12/latest/amd64")
  })

  validation {
    condition     = can(regex("^(ssh-ed25519|ecdsa-sha2-nistp256) ", var.instance.ssh_public_key))
    error_message = "instance.ssh_public_key must be one line of an Ed25519 or ECDSA public key."
  }
  validation {
    condition     = var.instance.disk_gib >= 16
    error_message = "instance.disk_gib must be at least 16: releases are kept to go back to."
  }
}

variable "load_balancer" {
  description = "The front door. `protected` refuses to destroy it."
  type = object({
    certificate_arn       = string
    client_cidrs          = set(string)
    log_bucket            = string
    drain_timeout_seconds = optional(number, 30)
    protected             = optional(bool, true)
  })

  validation {
    condition     = length(var.load_balancer.client_cidrs) > 0
    error_message = "load_balancer.client_cidrs must not be empty: nobody could ask."
  }
  validation {
    condition     = alltrue([for cidr in var.load_balancer.client_cidrs : can(cidrnetmask(cidr))])
    error_message = "load_balancer.client_cidrs must be IPv4 networks, such as 203.0.113.0/24."
  }
  validation {
    condition     = var.load_balancer.drain_timeout_seconds >= 0 && var.load_balancer.drain_timeout_seconds <= 3600
    error_message = "load_balancer.drain_timeout_seconds must be from 0 to 3600."
  }
}

variable "service" {
  description = "The service on each machine: its port, its folder, and what says that it can take requests."
  type = object({
    port        = optional(number, 8080)
    home        = optional(string, "/srv/slipway")
    health_path = optional(string, "/readyz")
  })
  default = {}

  validation {
    condition     = var.service.port >= 1024 && var.service.port <= 65535
    error_message = "service.port must be from 1024 to 65535: lower ones need root."
  }
  validation {
    condition     = startswith(var.service.home, "/") && startswith(var.service.health_path, "/")
    error_message = "service.home and service.health_path must begin with a slash."
  }
}

variable "log_group_arn" {
  description = "Where the hosts may write their logs."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the disks."
  type        = string
}
