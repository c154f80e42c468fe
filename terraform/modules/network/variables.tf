variable "name" {
  description = "Name of the environment."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network: IPv4, /16 to /22."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr))
    error_message = "cidr must be an IPv4 network, such as 10.20.0.0/16."
  }
  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 22, false)
    error_message = "cidr must be a /16 to /22: sixteen subnets are cut from it."
  }
}

variable "zones" {
  description = "Two availability zones; a balancer needs two."
  type        = list(string)

  validation {
    condition     = length(var.zones) == 2 && length(distinct(var.zones)) == 2
    error_message = "zones must be two different ones."
  }
}

variable "region" {
  description = "Region of the zones."
  type        = string

  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "zones must lie in the region."
  }
}

variable "interface_endpoints" {
  description = "Services of AWS that private hosts reach: there is no way out of the private subnets but these, and S3."
  type        = set(string)
  default     = ["ec2messages", "logs", "ssm", "ssmmessages"]

  validation {
    condition     = !contains(var.interface_endpoints, "s3")
    error_message = "interface_endpoints must not name s3: its gateway costs nothing."
  }
}

variable "flow_log_bucket_arn" {
  description = "Bucket that takes the records of what was connected to what."
  type        = string
}
