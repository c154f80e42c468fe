"""Runs the command where it is not installed: `python -m slipway.cli`."""

from slipway.cli.app import main

if __name__ == "__main__":
    main()
