variable "home" {
  description = "Folder that holds everything that runs on this machine. Absolute."
  type        = string

  validation {
    condition     = startswith(var.home, "/")
    error_message = "home must be an absolute path."
  }
}

variable "address" {
  description = "Address that the service listens on."
  type        = string
  default     = "127.0.0.1"
}

variable "port" {
  description = "Port that the service listens on."
  type        = number
  default     = 8080

  validation {
    condition     = var.port >= 1024 && var.port <= 65535 && floor(var.port) == var.port
    error_message = "port must be a whole number from 1024 to 65535: lower ones need root."
  }
}
