output "bucket" {
  description = "Name and ARN of the bucket."
  value       = { name = module.bucket.name, arn = module.bucket.arn }
}

output "dvc_remote" {
  description = "The url for `dvc remote add`."
  value       = "s3://${module.bucket.name}/dvc"
}
