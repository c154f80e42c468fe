output "fleet" {
  description = "The contract with the inventory: what slipway.fleet.environment reads, in every environment."
  value = {
    url             = "https://${var.domain}"
    service_manager = "systemd"
    hosts           = module.model_fleet.hosts
  }
}

output "load_balancer" {
  description = "Where DNS must lead the domain."
  value       = module.model_fleet.load_balancer.dns_name
}

output "dvc_remote" {
  description = "The url for `dvc remote add`."
  value       = module.artefact_store.dvc_remote
}

output "github_roles" {
  description = "What workflows give to configure-aws-credentials."
  value       = module.github_oidc.roles
}

output "alarm_topic_arn" {
  description = "Where alarms are told."
  value       = module.observability.alarm_topic_arn
}
