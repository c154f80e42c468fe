"""What users and auditors of a release get beside its tag."""
