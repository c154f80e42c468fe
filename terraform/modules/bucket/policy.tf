locals {
  tls_only = {
    Sid       = "TlsOnly"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }

  # Services write below AWSLogs/<account>/, with or without a prefix. Not all of them tell on whose behalf.
  log_delivery = [
    for writer in sort(var.log_writers) : {
      Sid       = "LogsOf${replace(title(replace(trimsuffix(writer, ".amazonaws.com"), ".", " ")), " ", "")}"
      Effect    = "Allow"
      Principal = { Service = writer }
      Action    = ["s3:GetBucketAcl", "s3:PutObject"]
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*AWSLogs/${local.account}/*"]
      Condition = { StringEqualsIfExists = { "aws:SourceAccount" = local.account } }
    }
  ]

  account = data.aws_caller_identity.current.account_id
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = concat([local.tls_only], local.log_delivery) })

  # A policy is refused while public access is not yet settled.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
