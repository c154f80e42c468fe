environment   = "production"
model         = "tumour-screening"
region        = "eu-central-1"
instance_type = "c6i.large"
client_cidrs  = ["0.0.0.0/0"]
network       = { cidr = "10.30.0.0/16", zones = ["eu-central-1a", "eu-central-1b"] }

# The first host is the gatekeeper. At rest each has a third of the traffic; in a roll-out its share can be lowered.
weights = { canary = 1, stable = 2 }

hosts = {
  model-1 = { zone = "eu-central-1a", private_ip = "10.30.128.11", group = "canary" }
  model-2 = { zone = "eu-central-1b", private_ip = "10.30.144.11" }
  model-3 = { zone = "eu-central-1a", private_ip = "10.30.128.12" }
}

limits = { p99_seconds = 0.2 }
