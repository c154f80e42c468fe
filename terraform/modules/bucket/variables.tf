variable "name" {
  description = "Name of the bucket: unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the objects; null for the one that S3 manages."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || startswith(coalesce(var.kms_key_arn, "-"), "arn:")
    error_message = "kms_key_arn must be an ARN."
  }
}

variable "log_writers" {
  description = "Services of AWS that may deliver logs into the bucket, on behalf of this account only."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for writer in var.log_writers : endswith(writer, ".amazonaws.com")])
    error_message = "log_writers must be service principals, such as delivery.logs.amazonaws.com."
  }
}

variable "expire_after_days" {
  description = "When objects are deleted: the current ones (null: never), and those that were replaced or deleted."
  type = object({
    current    = optional(number)
    noncurrent = optional(number, 90)
  })
  default = {}

  validation {
    condition     = alltrue([for days in values(var.expire_after_days) : days == null ? true : days >= 1])
    error_message = "expire_after_days must be at least 1."
  }
}

variable "protected" {
  description = "Whether destroying a bucket that holds objects fails."
  type        = bool
  default     = true
}
