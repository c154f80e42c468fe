"""Runs the workflows as they stand, with a `make` and a `slipway` that only say what they were asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.workflows.github import Environment

if TYPE_CHECKING:
    from tests.workflows.github import Run
    from tests.workflows.site import Site

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"
RECORD = """\
{{
    printf '{name}'; for argument in "$@"; do printf ' %s' "${{argument##*/}}"; done
    for name in ENVIRONMENT RELEASE BASE CHECKS OTHERS VERIFY; do
        eval "value=\\${{$name-}}"; [ -z "$value" ] || printf ' %s=%s' $name "$(echo $value)"
    done
    for name in SLIPWAY_SIGNING_KEY SSH_KEY GITHUB_TOKEN; do
        eval "value=\\${{$name-}}"; [ -z "$value" ] || printf ' +%s' $name
    done
    echo
}} >> "$RECORD"
case " $FAILING " in *" $1 "*) exit 2 ;; esac
"""
MAKE = (
    "#!/bin/sh\n"
    + RECORD.format(name="make")
    + """\
case $1 in
    setup) mkdir -p .venv/bin && cp "$(dirname "$0")/slipway" .venv/bin/slipway ;;
    report) mkdir -p report && echo "# A report" > report/report.md ;;
    plan) mkdir -p plan && echo {} > plan/infrastructure.json ;;
esac
"""
)
SLIPWAY = (
    "#!/bin/sh\n"
    + RECORD.format(name="slipway")
    + """\
case $1 in
    release)
        case " $* " in *" --push "*) NEW=$TAGGED ;; esac
        while [ $# -gt 1 ]; do [ "$1" = --output ] && echo "release=$NEW" >> "$2"; shift; done ;;
    provenance) mkdir -p provenance && touch provenance/bundle.tar provenance/sbom.cdx.json ;;
esac
exit 0
"""
)
SIGNED = {"SIGNING_KEY": "signing", "SSH_KEY": "ssh"}
ROLE = {"AWS_ROLE": "arn:aws:iam::123456789012:role/slipway"}
ENVIRONMENTS = {
    "staging": Environment(SIGNED, ROLE, refs=("main",)),
    "production": Environment(SIGNED, ROLE, refs=("main",)),
    "staging-plan": Environment({}, ROLE),
    "production-plan": Environment({}, ROLE),
}
CLOUD = {"AWS_REGION": "eu-central-1"}
MADE_BY = {"check-python", "check-pipeline", "check-terraform", "check-ansible", "check-workflows"}


class Runner:
    """Runs workflows, and tells what they called."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.record = site.root / "record.txt"
        self.folder = site.root / "bin"
        self.folder.mkdir()
        for name, text in {"make": MAKE, "slipway": SLIPWAY}.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)

    def __call__(
        self, name: str, event: str, changes: Any = None, *, failing: str = "", new: str = "",
        tagged: str = "", **around: Any,
    ) -> Run:  # fmt: skip
        """`new` is what a release would be; `tagged` what it is in the end, where that is something else, or `nothing`."""
        self.record.write_text("")
        environ = {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "RECORD": str(self.record),
            "FAILING": failing,
            "NEW": new,
            "TAGGED": {"": new, "nothing": ""}.get(tagged, tagged),
        }
        settings = {"environments": ENVIRONMENTS, "variables": CLOUD, **around}
        return self.site.run(WORKFLOWS / f"{name}.yml", event, changes, environ=environ, **settings)

    @property
    def calls(self) -> list[str]:
        """What was called, with what it was told of."""
        return self.record.read_text().splitlines()
