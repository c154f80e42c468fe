"""Ansible module: a slot of a host, and what of it should run."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_server_host import SLOTS, alone
from ansible.module_utils.model_server_slots import MANAGERS, NotReadyError, StepError, point, prove

DOCUMENTATION = r"""
module: model_server_slot
short_description: Start, tell or end the process of a slot
description:
  - Waits for readiness, not for seconds. What has failed is stopped, and not tried again.
author: Slipway
options:
  home: {description: The environment's folder., type: path, required: true}
  manager:
    description: What keeps the slots alive.
    type: str
    choices: [supervisord, systemd]
    default: supervisord
  slot: {description: The slot., type: str, choices: [blue, green], required: true}
  state:
    description:
      - C(proven) links the slot to the release, starts it anew, and asks it the golden rows; not yet at the front door.
      - C(started) leaves a process alone that runs.
      - C(told) lets the process look what it should do, where C(live) or its shadow has changed.
      - C(stopped) does not wait for the end of it.
    type: str
    choices: [proven, started, told, stopped]
    required: true
  release: {description: "The release's record, where C(proven).", type: dict}
  seconds:
    description: How long the process may take to be ready. Under systemd its unit says so, and this must be the same.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: Stop the shadow
  model_server_slot: {home: /srv/slipway, manager: systemd, slot: green, state: stopped}
"""

RETURN = r"""
step: {description: What of C(proven) failed., type: str, returned: on failure}
"""


def bring(home: Path, given: dict) -> bool:
    """Bring the slot into the state that is asked for; whether that changed something.

    Raises:
        StepError: It does not start, or answers golden rows otherwise.
        NotReadyError: It does not start.
        OSError: There is no process to tell.
    """
    manager, slot, state = MANAGERS[given["manager"]](home), given["slot"], given["state"]
    if state == "stopped":
        return manager.stop(slot)
    if state == "told":
        manager.tell(slot)
    elif state == "proven":
        point(home / "slots" / slot, f"../releases/{given['release']['release']}")
        prove(home, manager, slot, given["release"], given["seconds"])
    elif manager.runs(slot):
        return False
    else:
        manager.resume(slot, given["seconds"])
    return True


def would(home: Path, given: dict) -> bool:
    """Whether `bring` would change something, as far as can be seen."""
    if given["state"] not in {"started", "stopped"}:
        return True
    if not home.is_dir():
        return given["state"] == "started"
    os.chdir(home)
    return MANAGERS[given["manager"]](home).runs(given["slot"]) is (given["state"] == "stopped")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "manager": {"type": "str", "choices": list(MANAGERS), "default": "supervisord"},
            "slot": {"type": "str", "choices": list(SLOTS), "required": True},
            "state": {"type": "str", "choices": ["proven", "started", "told", "stopped"], "required": True},
            "release": {"type": "dict"},
            "seconds": {"type": "float", "default": 20},
        },
        required_if=[("state", "proven", ["release"])],
        supports_check_mode=True,
    )
    home = Path(module.params["home"])
    try:
        if module.check_mode:
            module.exit_json(changed=would(home, module.params))
        os.chdir(home)
        with alone(home):
            changed = bring(home, module.params)
    except StepError as error:
        module.fail_json(msg=str(error), step=error.step)
    except (NotReadyError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
