resource "aws_iam_openid_connect_provider" "github" {
  count = var.provider_arn == null ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_caller_identity" "current" {}

locals {
  provider_arn = var.provider_arn == null ? one(aws_iam_openid_connect_provider.github[*].arn) : var.provider_arn

  owner_and_name = split("/", var.repository)

  # Either is what GitHub calls the repository: by names alone or, where it is newer or has opted in, with numbers that nobody else can get
  # who takes over a name.
  repositories = concat(
    [var.repository],
    var.repository_ids == null ? [] : [join("/", [
      "${local.owner_and_name[0]}@${var.repository_ids.owner}",
      "${local.owner_and_name[1]}@${var.repository_ids.repository}",
    ])],
  )

  # GitHub puts the environment of a job into the subject; who may use an environment is settled there.
  trust = {
    for role, environment in { plan = "${var.name}-plan", apply = var.name } : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Federated = local.provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
            "token.actions.githubusercontent.com:sub" = [for repository in local.repositories : "repo:${repository}:environment:${environment}"]
          }
        }
      }]
    })
  }

  state_arn = "arn:aws:s3:::${var.state.bucket}/${var.state.key}"

  # Both roles read the state and take its lock; only `apply` writes it.
  state_access = [
    {
      Sid      = "FindState"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = ["arn:aws:s3:::${var.state.bucket}"]
    },
    {
      Sid      = "ReadState"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = [local.state_arn]
    },
    {
      Sid      = "LockState"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      Resource = ["${local.state_arn}.tflock"]
    },
  ]
}
