output "vpc" {
  description = "The network."
  value       = { id = aws_vpc.this.id, cidr = aws_vpc.this.cidr_block }
}

output "public_subnet_ids" {
  description = "Where balancers are."
  value       = [for subnet in aws_subnet.public : subnet.id]
}

output "private_subnets" {
  description = "Where hosts are, by zone."
  value       = { for zone, subnet in aws_subnet.private : zone => { id = subnet.id, cidr = subnet.cidr_block } }
}

output "s3_prefix_list_id" {
  description = "The addresses of S3, for security groups."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
