# S3 holds the locks too (`use_lockfile`): there is no DynamoDB table.
module "bucket" {
  source = "../bucket"

  name              = var.bucket
  expire_after_days = { noncurrent = 365 }
}
