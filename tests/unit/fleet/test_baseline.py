from pathlib import Path

import pytest
from tests.unit.machine import Program
from tests.unit.workshop import Workshop

from slipway.errors import MachineError
from slipway.fleet import baseline
from slipway.fleet.environment import Environment


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def staging(workshop: Workshop) -> Environment:
    """An environment of machines, with the parts that a baseline is made of."""
    workshop.write(
        {
            "ansible/roles/host_baseline/tasks/main.yml": "---\n",
            "ansible/inventory/staging/group_vars/model_servers.yml": "---\n",
            "ansible/inventory/production/group_vars/model_servers.yml": "---\n",
        }
    )
    return Environment("staging", workshop.repository)


@pytest.mark.parametrize(
    "part",
    ["ansible/roles/host_baseline/tasks/main.yml", "ansible/inventory/staging/group_vars/model_servers.yml"],
)
def test_another_role_or_other_variables_are_another_baseline(
    staging: Environment, workshop: Workshop, part: str
) -> None:
    before = baseline.digest(staging)
    assert before == baseline.digest(staging)
    workshop.write({part: "--- # changed\n"})
    assert baseline.digest(staging) != before


def test_what_is_another_environments_is_not_of_the_baseline(
    staging: Environment, workshop: Workshop
) -> None:
    before = baseline.digest(staging)
    workshop.write({"ansible/inventory/production/group_vars/model_servers.yml": "--- # changed\n"})
    assert baseline.digest(staging) == before


def test_a_machine_is_waited_for_until_it_lets_in(tmp_path: Path) -> None:
    ssh, clock = Program(tmp_path / "ssh"), Clock()
    tries = tmp_path / "tries"
    ssh.does(
        f"open({str(tries)!r}, 'a').write('x')\n"
        f"if os.path.getsize({str(tries)!r}) < 3: sys.exit('Connection refused')"
    )
    baseline.wait({"model-1": [str(ssh.path)]}, 60, clock, clock.sleep)
    assert len(ssh.calls) == 3


def test_a_machine_that_never_lets_in_is_named_with_what_ssh_said(tmp_path: Path) -> None:
    ssh, clock = Program(tmp_path / "ssh"), Clock()
    ssh.does("sys.exit('Permission denied (publickey).')")
    with pytest.raises(MachineError) as caught:
        baseline.wait({"model-1": [str(ssh.path)]}, 5, clock, clock.sleep)
    assert str(caught.value) == (
        "model-1 is there, but cannot be reached after 5 s: Permission denied (publickey).\n"
        "  next: mend that, then the same command again"
    )
