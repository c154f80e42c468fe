variable "name" {
  description = "Name of the bucket: unique in the world."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the objects."
  type        = string
}

variable "keep_deleted_days" {
  description = "How long an object that was deleted or replaced can be had back."
  type        = number
  default     = 365

  validation {
    condition     = var.keep_deleted_days >= 30
    error_message = "keep_deleted_days must be at least 30: a mistake is seldom seen at once."
  }
}

variable "protected" {
  description = "Whether destroying the store while it holds objects fails."
  type        = bool
  default     = true
}
