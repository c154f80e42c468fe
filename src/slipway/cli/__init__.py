"""The command `slipway`: verbs only. What they do stands in `release`, `fleet` and `report`."""

from slipway.cli.app import main

__all__ = ["main"]
