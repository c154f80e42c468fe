# May do all that the environment is made of. Outside /slipway/<environment>/ it changes no identity, not even its own:
# an administrator changes these two roles.
resource "aws_iam_role" "apply" {
  name               = "github-${var.name}-apply"
  path               = "/slipway-github/"
  assume_role_policy = local.trust["apply"]
}

# Everything but identities.
resource "aws_iam_role_policy_attachment" "apply" {
  role       = aws_iam_role.apply.name
  policy_arn = "arn:aws:iam::aws:policy/PowerUserAccess"
}

resource "aws_iam_role_policy" "apply" {
  name = "apply"
  role = aws_iam_role.apply.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "LookAtIdentities"
        Effect = "Allow"
        Action = [
          "iam:GetInstanceProfile",
          "iam:GetOpenIDConnectProvider",
          "iam:GetRole",
          "iam:GetRolePolicy",
          "iam:ListAttachedRolePolicies",
          "iam:ListInstanceProfilesForRole",
          "iam:ListRolePolicies",
        ]
        Resource = ["*"]
      },
      {
        Sid    = "IdentitiesOfTheEnvironment"
        Effect = "Allow"
        Action = [
          "iam:AddRoleToInstanceProfile",
          "iam:CreateInstanceProfile",
          "iam:CreateRole",
          "iam:DeleteInstanceProfile",
          "iam:DeleteRole",
          "iam:DeleteRolePolicy",
          "iam:PutRolePolicy",
          "iam:RemoveRoleFromInstanceProfile",
          "iam:TagInstanceProfile",
          "iam:TagRole",
          "iam:UntagRole",
          "iam:UpdateAssumeRolePolicy",
        ]
        Resource = [for kind in ["role", "instance-profile"] : "${local.identities}:${kind}/slipway/${var.name}/*"]
      },
      {
        Sid      = "OnlyWhatHostsNeed"
        Effect   = "Allow"
        Action   = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
        Resource = ["${local.identities}:role/slipway/${var.name}/*"]
        Condition = {
          ArnEquals = { "iam:PolicyARN" = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore" }
        }
      },
      {
        Sid       = "GiveHostsTheirRole"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = ["${local.identities}:role/slipway/${var.name}/*"]
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
      },
      {
        Sid         = "NoOtherState"
        Effect      = "Deny"
        Action      = ["s3:DeleteObject*", "s3:PutObject*"]
        NotResource = [local.state_arn, "${local.state_arn}.tflock", "arn:aws:s3:::slipway-${var.name}-*"]
      },
      {
        # Roles of this environment that came to be in another way would be a way out of it.
        Sid      = "NoWayToOtherRoles"
        Effect   = "Deny"
        Action   = ["sts:AssumeRole"]
        Resource = ["*"]
      },
    ]
  })
}

locals {
  identities = "arn:aws:iam::${data.aws_caller_identity.current.account_id}"
}
