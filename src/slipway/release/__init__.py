"""What a release is: git and files, never a host."""
