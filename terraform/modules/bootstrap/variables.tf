variable "bucket" {
  description = "Name of the bucket for Terraform's states: unique in the world; SLIPWAY_STATE_BUCKET names it later."
  type        = string
}

variable "region" {
  description = "Region of the bucket: the one that the environments' backend.tf name."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be one of AWS, such as eu-central-1."
  }
}
