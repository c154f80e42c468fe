"""Ansible module: what a host can serve from what it has, whatever state it is in. It changes nothing."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_server_host import logged, record, runtime_folder, runtime_whole, whole

DOCUMENTATION = r"""
module: model_server_rescue
short_description: Find a release that a host can serve by itself
description:
  - Without a label it is what C(live) names; where that is not whole, what was live last of that which is; else the newest.
  - Changes nothing.
author: Slipway
options:
  home: {description: The environment's folder., type: path, required: true}
  label: {description: "The release, as v1.2.0.", type: str, default: ""}
"""

EXAMPLES = r"""
- name: Look what the host can serve
  model_server_rescue: {home: /srv/slipway}
"""

RETURN = r"""
record: {description: Of the release; empty where there is none., type: dict, returned: always}
whole: {description: The labels that are on the host and whole, with their runtime., type: list, returned: always}
obstacles: {description: Paths that are something else than a roll-out makes of them., type: list, returned: always}
"""


def find(home: Path, label: str) -> dict:
    """What the host can serve from what it has, and what stands in the way of it.

    Without a label: what `live` names; where that is not whole, what was live last of that which is; else the newest.
    """
    sound = {}
    for folder in sorted((home / "releases").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True):
        found = record(folder)
        fits = found.get("release") == folder.name and "runtime" in found and whole(folder, found)
        if fits and runtime_whole(runtime_folder(home, found)):
            sound[folder.name] = found
    wished = [label] if label else [linked(home), *reversed(logged(home)), *sound]
    paths = [home / name for name in ("live", "slots/blue", "slots/green")]
    obstacles = [path for path in paths if path.exists() and not path.is_symlink()]
    log = home / "releases.jsonl"
    return {
        "record": next((sound[each] for each in wished if each in sound), {}),
        "whole": list(sound),
        "obstacles": [str(path) for path in [*obstacles, *([log] if log.is_dir() else [])]],
    }


def linked(home: Path) -> str:
    """The label that `live` leads to, whether it is there or not; empty where a link is none."""
    try:
        return (home / "slots" / (home / "live").readlink().name).readlink().name
    except OSError:
        return ""


def main() -> None:
    options = {"home": {"type": "path", "required": True}, "label": {"type": "str", "default": ""}}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    label = module.params["label"]
    wanted = f"v{label.removeprefix('v')}" if label else ""
    module.exit_json(changed=False, **find(Path(module.params["home"]), wanted))


if __name__ == "__main__":
    main()
