# This machine stands in for a cloud: there is nothing to create, but it is planned, applied and put out like one.
resource "terraform_data" "host" {
  input = {
    address    = var.address
    connection = "local"
    home       = var.home
    port       = var.port
  }
}
