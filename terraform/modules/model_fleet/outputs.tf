output "hosts" {
  description = "The machines, as slipway.fleet.environment reads them."
  value = {
    for name, instance in aws_instance.this : name => {
      address    = instance.private_ip
      connection = "ssh"
      ssh        = instance.id
      home       = var.service.home
      port       = var.service.port
    }
  }
}

output "instances" {
  description = "Ids by host."
  value       = { for name, instance in aws_instance.this : name => instance.id }
}

output "load_balancer" {
  description = "The front door: what DNS should point to, and what metrics call it."
  value = {
    dns_name      = aws_lb.this.dns_name
    arn_suffix    = aws_lb.this.arn_suffix
    target_groups = { for group, target_group in aws_lb_target_group.this : group => target_group.arn_suffix }
  }
}
