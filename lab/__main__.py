"""`python -m lab up|down|status`."""

import sys

from lab.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
