output "bucket" {
  description = "What SLIPWAY_STATE_BUCKET must be."
  value       = module.bucket.name
}
