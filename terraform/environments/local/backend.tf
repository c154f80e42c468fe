# The path is given at `init`: it lies in the git-ignored folder with all else that runs.
terraform {
  backend "local" {}
}
