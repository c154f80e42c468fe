provider "aws" {
  region = var.region

  # The inventory finds hosts by these, and a sweep finds what no state knows.
  default_tags {
    tags = { managed-by = "slipway", environment = var.environment, model = var.model }
  }
}
