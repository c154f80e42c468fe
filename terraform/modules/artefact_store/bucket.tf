# Current objects are kept for ever: an old release can be had as long as its tag is there. `dvc gc` removes others.
module "bucket" {
  source = "../bucket"

  name              = var.name
  kms_key_arn       = var.kms_key_arn
  expire_after_days = { noncurrent = var.keep_deleted_days }
  protected         = var.protected
}
