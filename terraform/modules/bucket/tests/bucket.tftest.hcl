mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::a-bucket" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  name = "a-bucket"
}

run "a_private_bucket" {
  # versioned private and owned
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "Objects are not versioned."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "The bucket can be made public."
  }
  assert {
    condition     = one(aws_s3_bucket_ownership_controls.this.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "Objects may belong to somebody else."
  }
  assert {
    condition     = aws_s3_bucket.this.force_destroy == false
    error_message = "A bucket with objects can be destroyed."
  }

  # without tls nothing is answered
  assert {
    condition = jsondecode(aws_s3_bucket_policy.this.policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::a-bucket", "arn:aws:s3:::a-bucket/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "The policy is not: deny everybody everything without TLS."
  }

  # encrypted by s3 unless there is a key
  assert {
    condition = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule
    ).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Without a key, S3's own encryption is not on."
  }

  # current objects are kept unless told
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration) == 0
    error_message = "Current objects expire."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "Replaced objects are not kept for 90 days."
  }
}

run "as_told" {
  variables {
    log_writers       = ["delivery.logs.amazonaws.com"]
    kms_key_arn       = "arn:aws:kms:eu-central-1:111122223333:key/1"
    expire_after_days = { current = 30, noncurrent = 1 }
    protected         = false
  }

  # logs are taken from this account only
  assert {
    condition = jsondecode(aws_s3_bucket_policy.this.policy).Statement[1] == {
      Sid       = "LogsOfDeliveryLogs"
      Effect    = "Allow"
      Principal = { Service = "delivery.logs.amazonaws.com" }
      Action    = ["s3:GetBucketAcl", "s3:PutObject"]
      Resource  = ["arn:aws:s3:::a-bucket", "arn:aws:s3:::a-bucket/*AWSLogs/111122223333/*"]
      Condition = { StringEqualsIfExists = { "aws:SourceAccount" = "111122223333" } }
    }
    error_message = "The writer may do less or more than deliver this account's logs."
  }

  # encrypted by the key
  assert {
    condition = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule
    ).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-central-1:111122223333:key/1"
    error_message = "Another key encrypts."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "Every object asks KMS, which costs."
  }

  # current objects expire when told
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration[0].days == 30
    error_message = "Current objects do not expire."
  }

  # unprotected it goes with its objects
  assert {
    condition     = aws_s3_bucket.this.force_destroy
    error_message = "An unprotected bucket is not destroyed with its objects."
  }
}

run "refuses_1" {
  command = plan
  variables {
    # a name that s3 refuses
    name = "No_Bucket"
    # a key that is no arn
    kms_key_arn = "alias/mine"
    # a writer that is no service
    log_writers = ["*"]
    # to delete at once
    expire_after_days = { current = 0 }
  }
  expect_failures = [var.name, var.kms_key_arn, var.log_writers, var.expire_after_days]
}
