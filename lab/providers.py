"""Where Terraform gets the provider for AWS from: a folder of this machine, or the registry."""

from __future__ import annotations

import os
from pathlib import Path

_MIRROR = "registry.terraform.io"


def configuration(folder: Path) -> Path:
    """Terraform's settings: those that are named in the environment, or ones that take or download providers."""
    named = Path(os.environ.get("TF_CLI_CONFIG_FILE") or folder / "cli.tfrc")
    if named.is_file():
        return named
    (folder / "cache").mkdir()
    file = folder / "cli.tfrc"
    file.write_text(installation(mirror(), folder / "cache"))
    return file


def mirror() -> Path | None:
    """A folder of unpacked providers: one that is named in the environment, or where such are kept by custom."""
    named = os.environ.get("TF_PLUGIN_CACHE_DIR")
    places = [
        *([Path(named)] if named else []),
        Path.home() / ".terraform.d" / "plugins",
        Path("/usr/local/share/terraform/plugins"),
        *sorted(Path("/opt").glob("*")),
    ]
    found = (place for place in places if list(place.glob(f"{_MIRROR}/hashicorp/aws/5.*")))
    return next(found, None)


def installation(place: Path | None, cache: Path) -> str:
    """The settings that take providers from a folder, or download each only once."""
    if place is None:
        return f'plugin_cache_dir = "{cache}"\nplugin_cache_may_break_dependency_lock_file = true\n'
    return f'provider_installation {{\n  filesystem_mirror {{\n    path = "{place}"\n  }}\n}}\n'
