"""Benchmarks that print ratios against the alternative, side by side in one run."""
