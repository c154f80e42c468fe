mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::states" }
  }
}

variables {
  bucket = "states"
}

run "puts_out_the_name_for_the_backend" {
  assert {
    condition     = output.bucket == "states"
    error_message = "The backend would be told another bucket."
  }
}

run "refuses_a_region_that_is_none" {
  command = plan
  variables {
    region = "Frankfurt"
  }
  expect_failures = [var.region]
}
