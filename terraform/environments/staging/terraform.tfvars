environment   = "staging"
model         = "tumour-screening"
region        = "eu-central-1"
instance_type = "t3.small"
client_cidrs  = ["0.0.0.0/0"]
network       = { cidr = "10.20.0.0/16", zones = ["eu-central-1a", "eu-central-1b"] }

hosts = {
  model-1 = { zone = "eu-central-1a", private_ip = "10.20.128.11" }
  model-2 = { zone = "eu-central-1b", private_ip = "10.20.144.11" }
}
