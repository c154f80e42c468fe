"""What a change does to the model, for people who decide on a pull request, and for programs."""
