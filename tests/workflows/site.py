"""A small repository with an origin, and a GitHub around it: what the tests of workflows work on."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.workflows.actions import ACTIONS
from tests.workflows.events import open_pull_request, recorded
from tests.workflows.github import GitHub, Run
from tests.workflows.interpreter import interpret

FILES = {"README.md": "Read me.\n", "params.yaml": "C: 1.0\n", "docs/index.md": "An index.\n"}

JOB = "runs-on: ubuntu-24.04"


def one_job(steps: str, before: str = "on: push") -> str:
    """A workflow of one job, `it`; `steps` is YAML, indented by nothing."""
    lines = "\n".join(f"      {line}" for line in steps.strip().splitlines())
    return f"{before}\njobs:\n  it:\n    {JOB}\n    steps:\n{lines}\n"


class Site:
    """A bare repository, a clone of it to commit from, and runs of workflows that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root, self.origin, self.clone = root, root / "origin.git", root / "clone"
        self.runs = 0
        self.github = GitHub(origin=self.origin, folder=root / "run", actions=ACTIONS)

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
            cwd=folder or self.clone, env={**environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        """Commit files on a branch, new or not, and push it."""
        known = self.git("branch", "--list", branch)
        self.git("checkout", "--quiet", *([branch] if known else ["-B", branch]))
        for name, content in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {', '.join(files)}")
        self.git("push", "--quiet", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def propose(self, files: dict[str, str]) -> str:
        """A pull request, number 7, from the branch `regularise`."""
        self.git("checkout", "--quiet", "main")
        commit = self.commit(files, "regularise")
        open_pull_request(self.origin, 7, "regularise")
        return commit

    def workflow(self, text: str, name: str = "sample.yml") -> Path:
        path = self.root / "repository" / ".github" / "workflows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(
        self, workflow: str | Path, event: str = "push_to_main", changes: Any = None, **around: Any
    ) -> Run:
        """Run a workflow, given as its file or its text, for a recorded event."""
        path = workflow if isinstance(workflow, Path) else self.workflow(workflow)
        self.runs += 1
        github = replace(self.github, folder=self.root / f"run-{self.runs}", **around)
        return interpret(path, recorded(event, self.origin, changes), github)


def make(site: Site) -> None:
    """Two commits on `main`."""
    site.clone.mkdir(parents=True)
    site.git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(site.origin))
    site.git("init", "--quiet", "--initial-branch=main", "--template=")
    site.git("remote", "add", "origin", "../origin.git")
    site.commit({"README.md": "First.\n"})
    site.commit(FILES)
