# The bucket is given at `init`: -backend-config=bucket=... Not shared with other environments, as the key is this one's.
terraform {
  backend "s3" {
    key          = "production/terraform.tfstate"
    region       = "eu-central-1"
    encrypt      = true
    use_lockfile = true
  }
}
