# Sees everything that a plan compares, and reads the state and the DVC remote: pull requests are compared with what is live.
resource "aws_iam_role" "plan" {
  name               = "github-${var.name}-plan"
  path               = "/slipway-github/"
  assume_role_policy = local.trust["plan"]
}

resource "aws_iam_role_policy" "plan" {
  name = "plan"
  role = aws_iam_role.plan.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.state_access, [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "acm:DescribeCertificate",
          "acm:ListCertificates",
          "acm:ListTagsForCertificate",
          "cloudwatch:DescribeAlarms",
          "cloudwatch:GetDashboard",
          "cloudwatch:ListTagsForResource",
          "ec2:Describe*",
          "elasticloadbalancing:Describe*",
          "iam:GetInstanceProfile",
          "iam:GetOpenIDConnectProvider",
          "iam:GetRole",
          "iam:GetRolePolicy",
          "iam:ListAttachedRolePolicies",
          "iam:ListRolePolicies",
          "kms:DescribeKey",
          "kms:GetKeyPolicy",
          "kms:GetKeyRotationStatus",
          "kms:ListAliases",
          "kms:ListResourceTags",
          "logs:DescribeLogGroups",
          "logs:ListTagsForResource",
          "sns:GetSubscriptionAttributes",
          "sns:GetTopicAttributes",
          "sns:ListTagsForResource",
          "tag:GetResources",
        ]
        Resource = ["*"]
      },
      {
        Sid      = "LookAtImages"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = ["arn:aws:ssm:*:*:parameter/aws/service/*"]
      },
      {
        Sid    = "LookAtBuckets"
        Effect = "Allow"
        Action = [
          "s3:GetAccelerateConfiguration",
          "s3:GetBucket*",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:GetReplicationConfiguration",
          "s3:ListBucket",
        ]
        Resource = ["arn:aws:s3:::slipway-${var.name}-*"]
      },
      {
        Sid      = "ReadArtefacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:aws:s3:::slipway-${var.name}-artefacts-*/*"]
      },
      {
        # As far as S3 needs it to hand out an object.
        Sid       = "DecryptArtefacts"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.artefact_key_arn]
        Condition = { StringLike = { "kms:ViaService" = "s3.*.amazonaws.com" } }
      },
    ])
  })
}
