mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::artefacts" }
  }
}

variables {
  name        = "artefacts"
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1"
}

run "a_remote_for_dvc" {
  assert {
    condition     = output.dvc_remote == "s3://artefacts/dvc"
    error_message = "This is not what `dvc remote add` takes."
  }
  assert {
    condition     = output.bucket == { name = "artefacts", arn = "arn:aws:s3:::artefacts" }
    error_message = "The bucket is not put out."
  }
}

run "refuses_to_forget_quickly" {
  command = plan
  variables {
    keep_deleted_days = 29
  }
  expect_failures = [var.keep_deleted_days]
}
