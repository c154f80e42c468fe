variable "environment" {
  description = "Name of the environment: of its folder, its state's key, its environment on GitHub, and its tags."
  type        = string
}

variable "model" {
  description = "The model that the environment serves, for tags."
  type        = string
}

variable "region" {
  description = "Region of everything."
  type        = string
}

variable "network" {
  description = "Addresses of the network, and the two zones of the region that it spans."
  type        = object({ cidr = string, zones = list(string) })
}

variable "hosts" {
  description = "The machines by name. An address is for life: it is the host's in every inventory and every log."
  type = map(object({
    zone       = string
    private_ip = string
    group      = optional(string, "stable")
  }))
}

variable "weights" {
  description = "Shares of the traffic by group of hosts."
  type        = map(number)
  default     = { stable = 100 }
}

variable "instance_type" {
  description = "What each machine is; x86_64, as the runtime is."
  type        = string

  validation {
    condition     = !can(regex("^[a-z]+[0-9]+g[a-z]*[.]", var.instance_type))
    error_message = "instance_type must not be of the ARM families: the runtime's wheels are for x86_64."
  }
}

variable "client_cidrs" {
  description = "Who may ask: IPv4 networks."
  type        = set(string)
}

variable "limits" {
  description = "What raises an alarm: see the module observability."
  type = object({
    failed_requests = optional(number)
    p99_seconds     = optional(number)
    cpu_percent     = optional(number)
  })
  default = {}
}

variable "protected" {
  description = "Whether the balancer and buckets that hold objects refuse to be destroyed."
  type        = bool
  default     = true
}

variable "alarm_email" {
  description = "Who is told of alarms; null or empty for nobody."
  type        = string
  default     = null
}

variable "domain" {
  description = "Name that clients ask for. ACM must hold an issued certificate for it; DNS must lead it to the balancer."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+([.][a-z0-9-]+)+$", var.domain))
    error_message = "domain must be a name such as models.example.com."
  }
}

variable "ssh_public_key" {
  description = "One line: the key that roll-outs come with."
  type        = string
}

variable "github_repository" {
  description = "owner/name of the repository whose workflows may plan and apply."
  type        = string
}

variable "github_ids" {
  description = "The numbers of that owner and that repository, which GitHub names to AWS where it was made since July 2026."
  type        = object({ owner = string, repository = string })
  default     = null
}

variable "github_provider_arn" {
  description = "GitHub's OIDC provider where the account has one already; null or empty makes it."
  type        = string
  default     = null
}

variable "state_bucket" {
  description = "Bucket of the state; null or empty where it has the name that terraform/README.md gives it."
  type        = string
  default     = null
}
