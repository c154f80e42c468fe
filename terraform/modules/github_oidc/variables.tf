variable "name" {
  description = "Name of the environment, in AWS and on GitHub."
  type        = string
}

variable "repository" {
  description = "The repository on GitHub whose workflows may take the roles: owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be owner/name, without a wildcard."
  }
}

variable "repository_ids" {
  description = "The numbers by which GitHub knows that owner and that repository: where it was made or renamed since July 2026, they are part of the subject. Null where it is older."
  type        = object({ owner = string, repository = string })
  default     = null

  validation {
    condition     = var.repository_ids == null || can(regex("^[0-9]+/[0-9]+$", "${var.repository_ids.owner}/${var.repository_ids.repository}"))
    error_message = "repository_ids must be two numbers, without a wildcard: those of github.repository_owner_id and github.repository_id."
  }
}

variable "state" {
  description = "Where the environment's state is."
  type        = object({ bucket = string, key = string })

  validation {
    condition     = !strcontains("${var.state.bucket}${var.state.key}", "*")
    error_message = "state must be one bucket and one key, without a wildcard."
  }
}

variable "artefact_key_arn" {
  description = "Key that encrypts the objects of the DVC remote."
  type        = string
}

variable "provider_arn" {
  description = "GitHub's OIDC provider where the account has one already; null makes it, as an account can have only one."
  type        = string
  default     = null

  validation {
    condition     = var.provider_arn == null || endswith(coalesce(var.provider_arn, "-"), ":oidc-provider/token.actions.githubusercontent.com")
    error_message = "provider_arn must be that of token.actions.githubusercontent.com."
  }
}
