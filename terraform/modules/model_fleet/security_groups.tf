# clients -> 443 balancer -> service hosts -> 443 endpoints and S3; nothing else, and no SSH from anywhere.
resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-load-balancer"
  description = "Front door of ${var.name}"
  vpc_id      = var.network.vpc.id

  tags = { Name = "${var.name}-load-balancer" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.load_balancer.client_cidrs

  security_group_id = aws_security_group.load_balancer.id
  description       = "HTTPS from clients"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "to_hosts" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "Requests and health checks"
  referenced_security_group_id = aws_security_group.hosts.id
  ip_protocol                  = "tcp"
  from_port                    = var.service.port
  to_port                      = var.service.port
}

resource "aws_security_group" "hosts" {
  name        = "${var.name}-hosts"
  description = "Model servers of ${var.name}"
  vpc_id      = var.network.vpc.id

  tags = { Name = "${var.name}-hosts" }
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  security_group_id            = aws_security_group.hosts.id
  description                  = "Requests and health checks"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = var.service.port
  to_port                      = var.service.port
}

resource "aws_vpc_security_group_egress_rule" "to_endpoints" {
  security_group_id = aws_security_group.hosts.id
  description       = "Endpoints of AWS services"
  cidr_ipv4         = var.network.vpc.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "to_s3" {
  security_group_id = aws_security_group.hosts.id
  description       = "S3, through its gateway"
  prefix_list_id    = var.network.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
