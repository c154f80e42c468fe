output "fleet" {
  description = "The contract with the inventory: what slipway.fleet.environment reads, in every environment."
  value = {
    url             = "http://${terraform_data.host.output.address}:${terraform_data.host.output.port}"
    service_manager = "supervisord"
    hosts           = { local-1 = terraform_data.host.output }
  }
}
