# /// script
# requires-python = "==3.11.*"
# dependencies = ["checkov==3.3.22"]
# ///
