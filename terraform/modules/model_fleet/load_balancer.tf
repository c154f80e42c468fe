resource "aws_lb" "this" {
  # checkov:skip=CKV2_AWS_28: no web application firewall; the contract refuses malformed bodies, and one costs per request
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = var.network.public_subnet_ids
  security_groups            = [aws_security_group.load_balancer.id]
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  enable_deletion_protection = var.load_balancer.protected

  access_logs {
    bucket  = var.load_balancer.log_bucket
    prefix  = "load-balancer"
    enabled = true
  }
}

resource "aws_lb_target_group" "this" {
  # checkov:skip=CKV_AWS_378: TLS ends at the balancer; the hosts take connections from its security group only
  for_each = var.weights

  name                 = "${var.name}-${each.key}"
  vpc_id               = var.network.vpc.id
  protocol             = "HTTP"
  port                 = var.service.port
  deregistration_delay = var.load_balancer.drain_timeout_seconds

  health_check {
    path                = var.service.health_path
    matcher             = "200"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "this" {
  for_each = var.hosts

  target_group_arn = aws_lb_target_group.this[each.value.group].arn
  target_id        = aws_instance.this[each.key].id
  port             = var.service.port
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.load_balancer.certificate_arn

  default_action {
    type = "forward"

    forward {
      dynamic "target_group" {
        for_each = var.weights

        content {
          arn    = aws_lb_target_group.this[target_group.key].arn
          weight = target_group.value
        }
      }
    }
  }
}
