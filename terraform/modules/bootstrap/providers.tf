# The only module that is applied by itself: once in an account, before there is a bucket that could hold a state.
provider "aws" {
  region = var.region

  default_tags {
    tags = { managed-by = "slipway", environment = "bootstrap" }
  }
}
