data "aws_ssm_parameter" "image" {
  name = var.instance.image_parameter
}

resource "aws_key_pair" "this" {
  key_name   = var.name
  public_key = var.instance.ssh_public_key
}

resource "aws_instance" "this" {
  for_each = var.hosts

  ami                    = nonsensitive(data.aws_ssm_parameter.image.value)
  instance_type          = var.instance.type
  subnet_id              = var.network.private_subnets[each.value.zone].id
  private_ip             = each.value.private_ip
  vpc_security_group_ids = [aws_security_group.hosts.id]
  iam_instance_profile   = aws_iam_instance_profile.host.name
  key_name               = aws_key_pair.this.key_name
  ebs_optimized          = true
  monitoring             = true
  user_data              = local.user_data

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    kms_key_id  = var.kms_key_arn
    volume_type = "gp3"
    volume_size = var.instance.disk_gib
  }

  tags = { Name = "${var.name}-${each.key}", host = each.key, role = "model-server" }

  lifecycle {
    # A newer image or agent must not replace a serving fleet: `terraform apply -replace=...`, host by host, does.
    ignore_changes = [ami, user_data]
  }
}

locals {
  # SSH comes through Session Manager, whose agent Debian's image lacks; S3 is the one place that a host reaches.
  agent_url = "https://s3.${data.aws_region.current.name}.amazonaws.com/amazon-ssm-${data.aws_region.current.name}/latest/debian_amd64/amazon-ssm-agent.deb"
  user_data = <<-EOT
    #cloud-config
    runcmd:
      - [python3, -c, "import urllib.request as web; web.urlretrieve('${local.agent_url}', '/run/agent.deb')"]
      - [dpkg, --install, /run/agent.deb]
  EOT
}

data "aws_region" "current" {}
