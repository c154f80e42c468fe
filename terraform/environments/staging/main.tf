data "aws_caller_identity" "current" {}

data "aws_acm_certificate" "this" {
  domain      = var.domain
  statuses    = ["ISSUED"]
  most_recent = true
}

locals {
  account = data.aws_caller_identity.current.account_id
}

module "network" {
  source = "../../modules/network"

  name                = var.environment
  cidr                = var.network.cidr
  region              = var.region
  zones               = var.network.zones
  flow_log_bucket_arn = module.logs.arn
}

# Records of the network and the balancer; what the hosts write is in CloudWatch.
module "logs" {
  source = "../../modules/bucket"

  name              = "slipway-${var.environment}-logs-${local.account}"
  log_writers       = ["delivery.logs.amazonaws.com", "logdelivery.elasticloadbalancing.amazonaws.com"]
  expire_after_days = { current = 365, noncurrent = 1 }
  protected         = var.protected
}

module "artefact_store" {
  source = "../../modules/artefact_store"

  name        = "slipway-${var.environment}-artefacts-${local.account}"
  kms_key_arn = aws_kms_key.this.arn
  protected   = var.protected
}

module "model_fleet" {
  source = "../../modules/model_fleet"

  name    = var.environment
  hosts   = var.hosts
  weights = var.weights

  network = {
    vpc               = module.network.vpc
    public_subnet_ids = module.network.public_subnet_ids
    private_subnets   = module.network.private_subnets
    s3_prefix_list_id = module.network.s3_prefix_list_id
  }

  instance = {
    type           = var.instance_type
    ssh_public_key = var.ssh_public_key
  }

  load_balancer = {
    certificate_arn = data.aws_acm_certificate.this.arn
    client_cidrs    = var.client_cidrs
    log_bucket      = module.logs.name
    protected       = var.protected
  }

  log_group_arn = module.observability.log_group_arn
  kms_key_arn   = aws_kms_key.this.arn
}

module "observability" {
  source = "../../modules/observability"

  name          = var.environment
  region        = var.region
  instances     = module.model_fleet.instances
  load_balancer = module.model_fleet.load_balancer
  limits        = var.limits
  email         = var.alarm_email == "" ? null : var.alarm_email
  kms_key_arn   = aws_kms_key.this.arn
}

module "github_oidc" {
  source = "../../modules/github_oidc"

  name             = var.environment
  repository       = var.github_repository
  repository_ids   = var.github_ids
  provider_arn     = var.github_provider_arn == "" ? null : var.github_provider_arn
  artefact_key_arn = aws_kms_key.this.arn

  # A variable of a workflow that nobody has set is empty.
  state = {
    bucket = coalesce(var.state_bucket, "slipway-state-${local.account}")
    key    = "${var.environment}/terraform.tfstate"
  }
}
