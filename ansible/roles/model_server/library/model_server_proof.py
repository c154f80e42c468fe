"""Ansible module: ask a host's front door which release answers, and write down that it went live."""

from __future__ import annotations

import json
import os
import time
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_server_host import logged

DOCUMENTATION = r"""
module: model_server_proof
short_description: Prove which release answers at the front door
description:
  - Asks until the release answers, and then appends a line to the release log, where its last one is of another release.
author: Slipway
options:
  home: {description: The environment's folder., type: path, required: true}
  url: {description: Of the front door., type: str, required: true}
  line: {description: The line of the log; its C(release) is the one that must answer., type: dict, required: true}
  seconds: {description: How long the slot before may go on answering., type: float, default: 10}
"""

EXAMPLES = r"""
- name: Prove the release
  model_server_proof:
    home: /srv/slipway
    url: http://10.30.0.11:8080
    line: {release: v1.0.0, action: deploy, by: ada, at: "2026-01-01T00:00:00Z"}
"""

RETURN = r"""
answers: {description: The release that answers., type: str, returned: always}
"""

PAUSE_SECONDS = 0.02


def answering(url: str) -> str:
    """The release that answers; else why none does."""
    direct = build_opener(ProxyHandler({}))  # whatever proxy the host is told to use
    try:
        with direct.open(f"{url}/metadata", timeout=3) as answer:
            return json.load(answer)["release"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        return f"nothing of Slipway's ({error})"


def proven(url: str, release: str, seconds: float) -> str:
    """What answers, as soon as it is the release; else what did last."""
    until = time.monotonic() + seconds
    while (found := answering(url)) != release and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
    return found


def append(log: Path, line: dict) -> None:
    """Append a line, on a line of its own even where a crash has cut the last one short."""
    whole = not log.exists() or log.read_bytes()[-1:] in {b"", b"\n"}
    with log.open("a") as file:
        file.write(f"{'' if whole else chr(10)}{json.dumps(line)}\n")
        file.flush()
        os.fsync(file.fileno())
    log.chmod(0o644)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "url": {"type": "str", "required": True},
            "line": {"type": "dict", "required": True},
            "seconds": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    given = module.params
    home, line = Path(given["home"]), given["line"]
    news = (logged(home) or [""])[-1] != line["release"]
    if module.check_mode:
        module.exit_json(changed=news, answers="")
    answers = proven(given["url"], line["release"], given["seconds"])
    if answers != line["release"]:
        said = f"{given['url']} should be answered by {line['release']}, but is answered by {answers}"
        module.fail_json(msg=said, answers=answers)
    if news:
        append(home / "releases.jsonl", line)
    module.exit_json(changed=news, answers=answers)


if __name__ == "__main__":
    main()
