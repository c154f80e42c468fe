variable "name" {
  description = "Name of the environment."
  type        = string
}

variable "region" {
  description = "Region of what the dashboard shows."
  type        = string
}

variable "instances" {
  description = "Ids of the machines by host."
  type        = map(string)
}

variable "load_balancer" {
  description = "What metrics call the front door, and its target groups by name."
  type        = object({ arn_suffix = string, target_groups = map(string) })
}

variable "kms_key_arn" {
  description = "Key that encrypts logs and messages."
  type        = string
}

variable "email" {
  description = "Who is told of alarms; null for nobody."
  type        = string
  default     = null

  validation {
    condition     = var.email == null || can(regex("^[^@ ]+@[^@ ]+$", coalesce(var.email, "-")))
    error_message = "email must be an address."
  }
}

variable "retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.retention_days)
    error_message = "retention_days must be one of CloudWatch's, and at least 365."
  }
}

variable "limits" {
  description = "What is too much, over a minute."
  type = object({
    failed_requests = optional(number, 5)
    p99_seconds     = optional(number, 0.5)
    cpu_percent     = optional(number, 85)
  })
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.limits) : limit > 0])
    error_message = "limits must be above 0."
  }
  validation {
    condition     = var.limits.cpu_percent <= 100
    error_message = "limits.cpu_percent must be at most 100."
  }
}
