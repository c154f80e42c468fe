"""Desired state to hosts: Terraform for machines, Ansible for what runs on them."""
