mock_provider "aws" {
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  name       = "staging"
  repository = "acme/models"
  state      = { bucket = "states", key = "staging/terraform.tfstate" }

  artefact_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/artefacts"
}

run "roles_of_one_repository_and_environment" {
  # each role is bound to one repository and one environment
  assert {
    condition = {
      for name, role in { plan = aws_iam_role.plan, apply = aws_iam_role.apply } :
      name => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals
      } == {
      plan = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:acme/models:environment:staging-plan"]
      }
      apply = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:acme/models:environment:staging"]
      }
    }
    error_message = "Somebody else may take a role."
  }
  assert {
    condition = alltrue([
      for role in [aws_iam_role.plan, aws_iam_role.apply] :
      jsondecode(role.assume_role_policy).Statement[0].Principal == {
        Federated = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
      } && length(jsondecode(role.assume_role_policy).Statement) == 1
    ])
    error_message = "Somebody else than GitHub says who takes a role."
  }

  # plan writes nothing but the lock, and reads what is encrypted by way of S3 only
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : [
        for action in statement.Action : "${action} ${join(" ", statement.Resource)}"
        if !can(regex("^[a-z0-9]+:(Get|List|Describe)", action))
      ]
      ])) == toset([
      "kms:Decrypt arn:aws:kms:eu-central-1:111122223333:key/artefacts",
      "s3:DeleteObject arn:aws:s3:::states/staging/terraform.tfstate.tflock",
      "s3:PutObject arn:aws:s3:::states/staging/terraform.tfstate.tflock",
    ])
    error_message = "The role for plans changes something."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : statement.Condition
      if contains(statement.Action, "kms:Decrypt")
    ]) == { StringLike = { "kms:ViaService" = "s3.*.amazonaws.com" } }
    error_message = "The role for plans decrypts other things than objects."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : statement.Resource
      if contains(statement.Action, "s3:GetObject")
      ])) == toset([
      "arn:aws:s3:::states/staging/terraform.tfstate",
      "arn:aws:s3:::states/staging/terraform.tfstate.tflock",
      "arn:aws:s3:::slipway-staging-artefacts-*/*",
    ])
    error_message = "The role for plans reads other objects than the state and the DVC remote's."
  }

  # apply changes no identity outside its environment
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement : statement.Resource
      if statement.Effect == "Allow" && anytrue([for action in statement.Action : !can(regex("^iam:(Get|List)", action))])
      ])) == toset([
      "arn:aws:iam::111122223333:role/slipway/staging/*",
      "arn:aws:iam::111122223333:instance-profile/slipway/staging/*",
    ])
    error_message = "The role for applies can give itself more rights."
  }
  assert {
    condition     = startswith(aws_iam_role.apply.path, "/slipway-github/")
    error_message = "The role lies where it may change identities: it could change itself."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement : statement.Condition.ArnEquals
      if contains(statement.Action, "iam:AttachRolePolicy")
    ]) == { "iam:PolicyARN" = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore" }
    error_message = "A host's role can be given any policy."
  }

  # apply writes no other state
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement : statement.NotResource
      if statement.Sid == "NoOtherState" && statement.Effect == "Deny"
      ]) == [
      "arn:aws:s3:::states/staging/terraform.tfstate",
      "arn:aws:s3:::states/staging/terraform.tfstate.tflock",
      "arn:aws:s3:::slipway-staging-*",
    ]
    error_message = "Another environment's state could be overwritten."
  }
}

run "trusts_the_repository_by_its_numbers_too" {
  variables {
    repository_ids = { owner = "12", repository = "345" }
  }
  assert {
    condition = {
      for name, role in { plan = aws_iam_role.plan, apply = aws_iam_role.apply } :
      name => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]
      } == {
      plan  = ["repo:acme/models:environment:staging-plan", "repo:acme@12/models@345:environment:staging-plan"]
      apply = ["repo:acme/models:environment:staging", "repo:acme@12/models@345:environment:staging"]
    }
    error_message = "A repository with immutable subjects cannot take its roles, or another one can."
  }
}

run "takes_the_provider_that_the_account_has" {
  variables {
    provider_arn = "arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "A second provider is made, which AWS refuses."
  }
  assert {
    condition = jsondecode(aws_iam_role.apply.assume_role_policy).Statement[0].Principal == {
      Federated = "arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com"
    }
    error_message = "The role trusts another provider."
  }
}

run "refuses_1" {
  command = plan
  variables {
    # any repository
    repository = "acme/*"
    # by any number
    repository_ids = { owner = "12", repository = "*" }
    # any state
    state = { bucket = "states", key = "*" }
    # another provider
    provider_arn = "arn:aws:iam::444455556666:oidc-provider/example.com"
  }
  expect_failures = [var.repository, var.repository_ids, var.state, var.provider_arn]
}
