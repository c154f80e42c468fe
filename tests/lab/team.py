"""A team with everything but GitHub: an origin, a clone, AWS for states and objects, two environments, and workflows that are run here.

`staging` is one host of the lab, `production` are two. Their Terraform roots put out hosts that are there already, by the built-in
provider; states and objects are in S3, as the workflows expect it, and each job begins in a clone of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.aws import REGION
from tests.lab.fleet import HOME, PORT, answers
from tests.lab.yard import Yard
from tests.local.workplace import REPOSITORY, Workplace
from tests.workflows.actions import ACTIONS
from tests.workflows.events import open_pull_request, recorded
from tests.workflows.github import Action, Environment, GitHub
from tests.workflows.interpreter import interpret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.aws import Aws
    from lab.lab import Lab
    from tests.workflows.github import Run
    from tests.workflows.runner import Step

HOSTS = {"staging": ("model-1",), "production": ("model-2", "model-3")}
STATES, OBJECTS = "team-states", "team-objects"
WORKFLOWS = REPOSITORY / ".github" / "workflows"
_BAKE = "bake: {seconds: 5, look_seconds: 1, minimum_requests: 300, limits: {memory: null, p50: 1000, p99: 1000, positives: 0.1, score: 0.2}}\n"
_UV = f"""\
#!/bin/sh
# The jobs have one environment, one after the other, so that none need wait half a minute for its own.
[ -e .venv ] || ln -s "$UV_PROJECT_ENVIRONMENT" .venv
exec {Path(sys.executable).parent}/uv "$@"
"""
_MAKE = """\
#!/bin/sh
# Of the checks, those run that are not this very suite.
case $1 in check-python | check-terraform | check-ansible | check-workflows) echo "$1: left to itself"; exit 0 ;; esac
exec {make} "$@"
"""


class Team:
    """What Ada, who is a data scientist, sees of it."""

    def __init__(
        self, folder: Path, lab: Lab, aws: Aws, seed: Path, cache: Path, api: str, repository: str, token: str
    ) -> None:
        self.folder, self.lab, self.aws = folder, lab, aws
        self._repository, self._token, self._runs = repository, token, 0
        self.logs: list[str] = []
        """What every step of every workflow has printed, before GitHub hides secrets in it."""
        self.origin = folder / "origin.git"
        self.ada = Workplace(folder / "ada", self._reach() | _credentials())
        self.keys = {who: _key(folder / who) for who in ("workflow", "ada-key", "stranger")}
        for bucket in (STATES, OBJECTS):
            place = {"LocationConstraint": REGION}
            aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        self._clone(seed)
        # She has run the pipeline before; jobs have not, and run it in clones of their own.
        shutil.copytree(cache, self.ada.root / ".dvc" / "cache")
        self.github = GitHub(
            origin=self.origin, folder=folder / "runs", actions=_actions(), api_url=api,
            variables={"AWS_REGION": REGION}, environments=self._environments(),
            environ={
                **self._reach(), "PATH": self._path(), "UV_CACHE_DIR": _uv_cache(),
                "UV_PROJECT_ENVIRONMENT": str(folder / "venv"),
            },
        )  # fmt: skip

    def _reach(self) -> dict[str, str]:
        """What leads to the AWS of this machine; credentials are another thing."""
        kept = {
            name: value
            for name, value in self.aws.environment.items()
            if "KEY" not in name and "REGION" not in name
        }
        certificates = {
            name: value for name, value in os.environ.items() if name.endswith(("_CA_BUNDLE", "_CERT_FILE"))
        }
        return {**certificates, **kept, "SLIPWAY_STATE_BUCKET": STATES}

    def _path(self) -> str:
        stubs = self.folder / "bin"
        stubs.mkdir()
        make = subprocess.run(["which", "make"], check=True, capture_output=True, text=True).stdout.strip()
        for name, text in {"uv": _UV, "make": _MAKE.format(make=make)}.items():
            (stubs / name).write_text(text)
            (stubs / name).chmod(0o755)
        return f"{stubs}{os.pathsep}{os.environ['PATH']}"

    def _environments(self) -> dict[str, Environment]:
        secrets = {
            "SIGNING_KEY": (self.folder / "workflow").read_text(),
            "SSH_KEY": (self.lab.plan.folder / "key").read_text(),
        }
        variables = {"AWS_ROLE": "arn:aws:iam::123456789012:role/x", "SLIPWAY_STATE_BUCKET": STATES}
        full = {name: Environment(secrets, variables, refs=("main",)) for name in HOSTS}
        return full | {f"{name}-plan": Environment({}, variables) for name in HOSTS}

    def _clone(self, seed: Path) -> None:
        _git(self.folder, "clone", "--quiet", "--bare", "--no-tags", str(seed), str(self.origin))
        _git(self.folder, "clone", "--quiet", str(self.origin), str(self.ada.root))
        for name, value in {
            "user.name": "Ada", "user.email": "ada@example.org", "gpg.format": "ssh",
            "user.signingKey": str(self.folder / "ada-key"),
        }.items():  # fmt: skip
            self.ada.git("config", name, value)
        (self.ada.root / ".venv").symlink_to(Path(sys.executable).parents[1])
        (self.ada.root / ".git" / "info" / "exclude").write_text("/.venv\n")
        for environment, hosts in HOSTS.items():
            self._describe(environment, hosts)
        self.ada.run("dvc", "remote", "modify", "local", "url", f"s3://{OBJECTS}")
        (self.ada.root / ".github" / "allowed_signers").write_text(
            "".join(
                f'{who}@example.org namespaces="git" {self.keys[who]}\n' for who in ("workflow", "ada-key")
            )
        )
        self.commit("Describe the team")
        self.ada.git("push", "--quiet", "origin", "HEAD:main")

    def _describe(self, environment: str, hosts: tuple[str, ...]) -> None:
        """Keep an environment's backend, and put out the hosts of the lab."""
        root = self.ada.root / "terraform" / "environments" / environment
        for file in [*root.glob("*.tf"), *root.glob("*.tfvars"), root / ".terraform.lock.hcl"]:
            if file.name != "backend.tf":
                file.unlink(missing_ok=True)
        fleet = {
            "url": f"http://{self.lab.hosts[hosts[0]].address}:{PORT}",
            "service_manager": "systemd",
            "hosts": {
                name: {
                    "address": str(self.lab.hosts[name].address),
                    "connection": "ssh",
                    "home": HOME,
                    "port": PORT,
                }
                for name in hosts
            },
        }
        (root / "main.tf.json").write_text(
            json.dumps(
                {
                    "variable": {
                        name: {"default": ""} for name in ("domain", "github_repository", "ssh_public_key")
                    },
                    "resource": {"terraform_data": {"fleet": {"input": fleet}}},
                    "output": {"fleet": {"value": "${terraform_data.fleet.output}"}},
                }
            )
        )
        # Without the key: who holds it, an agent or a file, is the workflow's to say.
        config = (self.lab.plan.folder / "ssh_config").read_text().splitlines()
        (root / "ssh_config").write_text(
            "".join(f"{line}\n" for line in config if not line.strip().startswith("Identit"))
        )
        (root / "rollout.yaml").write_text(_BAKE)
        # Ada's own way to the hosts.
        own = self.ada.root / ".slipway" / environment
        own.mkdir(parents=True)
        (own / "ssh_config").symlink_to(self.lab.plan.folder / "ssh_config")
        inventory = self.ada.root / "ansible" / "inventory" / environment
        (inventory / "aws_ec2.yml").unlink()
        for file in (inventory / "group_vars").iterdir():
            file.unlink()
        (inventory / "hosts.yml").write_text("---\nmodel_servers:\n")
        (inventory / "group_vars" / "model_servers.yml").write_text(Yard.variables)

    # What Ada does

    def commit(self, message: str) -> str:
        self.ada.git("add", "--all")
        self.ada.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.ada.git("rev-parse", "HEAD")

    def trains(self, message: str, settings: Mapping[str, str]) -> None:
        """Change parameters, run the pipeline, share its objects, and push the branch."""
        for key, value in settings.items():
            self.ada.set(key, value)
        self.ada.run("dvc", "repro", "--quiet")
        self.ada.run("dvc", "push", "--quiet")
        self.commit(message)

    def proposes(self, branch: str, number: int = 7) -> None:
        """Open a pull request of what is committed."""
        self.ada.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        open_pull_request(self.origin, number, branch)

    def merges(self) -> None:
        self.ada.git("push", "--quiet", "origin", "HEAD:main")

    # What GitHub does

    def runs(self, workflow: str, event: str, changes: Mapping[str, Any] | None = None) -> Run:
        """Run a workflow of the repository for an event."""
        self._runs += 1
        mine = {"full_name": self._repository}
        told = dict(changes or {}) | {"repository": mine}
        if event == "pull_request":
            sides = {side: {"repo": mine} for side in ("head", "base")}
            told["pull_request"] = {**sides, "head": {"repo": mine, **told.pop("head", {})}}
        run = interpret(
            WORKFLOWS / f"{workflow}.yml",
            recorded(event, self.origin, told),
            replace(self.github, folder=self.folder / "runs" / str(self._runs)),
        )
        self.logs += [step.raw for job in run.jobs.values() for step in job.steps]
        return run

    def dispatches(self, workflow: str, **inputs: str) -> Run:
        """Start a workflow by hand."""
        return self.runs(workflow, "workflow_dispatch", {"inputs": inputs})

    def comments(self, ci: Run, head: str, branch: str) -> Run:
        """What follows a run of CI, which has left its artefacts."""
        assert ci.jobs["report"].result == "success"
        artefacts = self.artifacts
        following = self.folder / "runs" / str(self._runs + 1) / "artifacts"
        shutil.copytree(artefacts, following)
        ended = {
            "head_sha": head, "head_branch": branch, "event": "pull_request", "pull_requests": [],
            "head_repository": {"full_name": self._repository, "owner": {"login": self._repository.partition("/")[0]}},
        }  # fmt: skip
        return self.runs("comment", "workflow_run", {"workflow_run": ended})

    @property
    def artifacts(self) -> Path:
        """Of the newest run."""
        return self.folder / "runs" / str(self._runs) / "artifacts"

    # What is live

    def desired(self, environment: str) -> list[str]:
        """Git's desired states, as the origin has them: `deploy v1.0.0`."""
        listed = _git(
            self.origin,
            "for-each-ref",
            "--format=%(refname:lstrip=2) %(subject)",
            f"refs/tags/*#{environment}#*",
        ).splitlines()
        numbered = sorted(listed, key=lambda line: int(line.split()[0].rpartition("#")[2]))
        return [" ".join(line.split()[1:3]).lower() for line in numbered]

    def answers(self, environment: str) -> set[str]:
        """The releases that its hosts answer."""
        return {answers(self.lab.hosts[name]) for name in HOSTS[environment]}

    def newest(self, environment: str) -> str:
        """The newest desired state's tag."""
        tags = [tag for tag in self.tags() if f"#{environment}#" in tag]
        return max(tags, key=lambda tag: int(tag.rpartition("#")[2]))

    @staticmethod
    def words_of(key: Path) -> list[str]:
        """The lines of a private key that are secret: it holds the public one, too."""
        public = key.with_suffix(".pub").read_text()
        return [line for line in key.read_text().splitlines()[2:-1] if line not in public]

    def tags(self) -> set[str]:
        return set(_git(self.origin, "tag", "--list").splitlines())


def _actions() -> dict[str, Action]:
    """Those of GitHub; the role's credentials are those that the AWS of this machine takes."""
    usual = ACTIONS["aws-actions/configure-aws-credentials"]

    def credentials(step: Step) -> None:
        usual.does(step)
        for name, value in _credentials().items():
            step.export(name, value)

    return {**ACTIONS, "aws-actions/configure-aws-credentials": Action(usual.inputs, credentials)}


def _credentials() -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _uv_cache() -> str:
    """That of this machine: a job's home is empty."""
    asked = [str(Path(sys.executable).parent / "uv"), "cache", "dir"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def _key(file: Path) -> str:
    """Make a key; the public one."""
    made = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", file.name, "-f", str(file)]
    subprocess.run(made, check=True)
    return " ".join(file.with_suffix(".pub").read_text().split()[:2])


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
