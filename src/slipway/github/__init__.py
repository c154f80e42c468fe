"""What the workflows say on GitHub: a comment, a release, an issue."""
