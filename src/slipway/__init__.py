"""Slipway releases machine-learning models the way a good team releases code."""
