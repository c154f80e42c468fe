# A host may be reached through Session Manager and write its logs. It needs no right to the artefacts: releases are
# fetched by pre-signed URL.
resource "aws_iam_role" "host" {
  name = "${var.name}-host"
  path = "/slipway/${var.name}/"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "session_manager" {
  role       = aws_iam_role.host.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.host.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["${var.log_group_arn}:*"]
    }]
  })
}

resource "aws_iam_instance_profile" "host" {
  name = "${var.name}-host"
  path = "/slipway/${var.name}/"
  role = aws_iam_role.host.name
}
