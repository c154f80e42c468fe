#!/bin/sh
# Brings .venv to what uv.lock says, from nothing but Python 3.11 or later. Quick where nothing is to be done.
# Usage: bootstrap.sh [PYTHON]
set -eu
python=${1:-python3}

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=.slipway/uv/bin/uv
    if [ ! -x "$uv" ]; then
        echo "environment: installing uv into .slipway/uv"
        "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
            echo "error: $python is not Python 3.11 or later with venv" >&2
            echo "  next: install it (Debian: apt-get install python3-venv), or make PYTHON=/path/to/python" >&2
            exit 1
        }
        "$python" -m venv .slipway/uv
        .slipway/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
    fi
fi
[ -x .venv/bin/slipway ] || echo "environment: installing what uv.lock says into .venv"
"$uv" sync --frozen --quiet
