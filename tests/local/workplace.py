"""A clone of this repository in which everything is real: git, DVC, Terraform, Ansible, supervisord, the service."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from slipway import bundle
from slipway.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from slipway.scorer import Scorer

REPOSITORY = Path(__file__).parents[2]
SECONDS = 400.0
"""How long a command may take, at the very most, on a busy machine."""


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Candidate(NamedTuple):
    """What `slipway deploy local` takes from a work tree."""

    tar: bytes
    manifest: str
    lock: str
    acceptance: bytes

    @property
    def digest(self) -> str:
        return str(json.loads(self.manifest)["bundle"]["sha256"])


class Workplace:
    """A working repository and the environment `local` in it."""

    def __init__(self, root: Path, variables: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.home = root / ".slipway" / "local"
        self.port = free_port()
        self._variables = dict(variables or {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # Commands

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GIT_", "DVC_", "MAKE", "MFLAGS"))
        }
        path = f"{self.root / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PATH": path, "TF_VAR_port": str(self.port), **self._variables, **variables}

    def begin(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start `slipway` as a user would."""
        return subprocess.Popen(
            [str(self.root / ".venv" / "bin" / "slipway"), *arguments], cwd=self.root,
            env=self.environment(**variables), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def slipway(self, *arguments: str, **variables: str) -> Said:
        process = self.begin(*arguments, **variables)
        try:
            out, err = process.communicate(timeout=SECONDS)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return Said(process.returncode, out, err)

    def does(self, *arguments: str, **variables: str) -> str:
        """Run `slipway`, which must succeed; what it printed."""
        said = self.slipway(*arguments, **variables)
        assert said.code == 0, f"slipway {' '.join(arguments)}\n{said.out}{said.err}{self.journal()}"
        return said.out

    def reads(self, *arguments: str) -> Any:
        """What `slipway ... --json` prints, whatever its exit code."""
        return json.loads(self.slipway(*arguments, "--json").out)

    def run(self, *command: str, **variables: str) -> str:
        """Run another program, which must succeed."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(**variables), capture_output=True, text=True,
            check=False, timeout=2 * SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}{self.journal()}"
        return done.stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).strip()

    def tags(self) -> list[str]:
        return self.git("tag", "--list").splitlines()

    # The environment

    def ask(self, path: str, body: Any = None) -> Any:
        """The JSON that the front door answers."""
        with httpx.Client(base_url=self.url, timeout=20, trust_env=False) as client:
            answer = client.get(path) if body is None else client.post(path, json=body)
            answer.raise_for_status()
            return answer.json()

    def answers(self) -> str:
        """The release that answers at the front door; empty where none does."""
        try:
            return str(self.ask("/metadata")["release"])
        except (httpx.HTTPError, ValueError, KeyError):
            return ""

    def log(self) -> list[dict[str, str]]:
        """The host's release log, the oldest line first."""
        file = self.home / "releases.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def links(self) -> dict[str, str]:
        """Where the host's links point."""
        links = [self.home / "live", *(self.home / "slots").glob("*")]
        return {str(link.relative_to(self.home)): str(link.readlink()) for link in links if link.is_symlink()}

    def installed(self) -> set[str]:
        return {path.name for path in (self.home / "releases").glob("*")}

    def slots(self) -> dict[str, int]:
        """The processes that serve, by slot."""
        found = {}
        for pid, argv in self.processes().items():
            if "slipway.serving" in argv:
                found[argv[argv.index("--slot") + 1]] = pid
        return found

    def one_slot(self) -> int:
        """The only process that serves, once those that stop have stopped."""
        found: dict[str, int] = {}

        def one() -> bool:
            nonlocal found
            found = self.slots()
            return len(found) == 1

        until(one, "one slot runs")
        return next(iter(found.values()))

    def one_slot_answers(self) -> str:
        """The release that answers, once it is the only one that runs."""
        self.one_slot()
        return self.answers()

    def processes(self) -> dict[int, list[str]]:
        """The command lines of everything that runs in this repository, by process."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                where = (folder / "cwd").readlink()
                if where == self.root or self.root in where.parents:
                    argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    # One that has ended and has not been waited for has none.
                    if any(argv):
                        found[int(folder.name)] = argv
        return found

    def journal(self) -> str:
        """What the host says of itself: printed where a test fails."""
        logs = [*sorted((self.home / "log").glob("*.log")), self.home / "ansible.log"]
        parts = [f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs if log.exists()]
        return "\n".join([f"\nlinks: {self.links()}", *parts])

    def close(self) -> None:
        """Stop all that runs here, by the product's own command, or else by its processes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.slipway("down")
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # The work tree

    def set(self, key: str, value: str) -> None:
        """Change one value of `params.yaml`, named as `train.hyperparameters`."""
        name = key.rpartition(".")[2]
        lines = (self.root / "params.yaml").read_text().splitlines()
        (at,) = [number for number, line in enumerate(lines) if line.strip().startswith(f"{name}:")]
        indent = len(lines[at]) - len(lines[at].lstrip())
        lines[at] = f"{' ' * indent}{name}: {value}"
        (self.root / "params.yaml").write_text("\n".join(lines) + "\n")

    def candidate(self) -> Candidate:
        """What the work tree offers."""
        return Candidate(
            (self.root / "artifacts" / "bundle.tar").read_bytes(),
            (self.root / "manifest.json").read_text(),
            (self.root / "dvc.lock").read_text(),
            (self.root / "data" / "acceptance.parquet").read_bytes(),
        )

    def offer(self, candidate: Candidate) -> None:
        """Put a candidate into the work tree, without the pipeline."""
        rewrite(self.root / "artifacts" / "bundle.tar", candidate.tar)
        rewrite(self.root / "data" / "acceptance.parquet", candidate.acceptance)
        (self.root / "manifest.json").write_text(candidate.manifest)
        (self.root / "dvc.lock").write_text(candidate.lock)


def clone(source: Path, root: Path, cache: Path | None) -> None:
    """A clone that shares its DVC cache, and the environment `.venv` of the tests."""
    git = ["git", "clone", "--quiet", "--no-tags", str(source), str(root)]
    subprocess.run(git, check=True, capture_output=True)
    for name, value in {"user.name": "Ada", "user.email": "ada@example.org"}.items():
        subprocess.run(["git", "config", name, value], cwd=root, check=True)
    subprocess.run(["git", "remote", "remove", "origin"], cwd=root, check=True)
    if cache:
        (root / ".venv").symlink_to(Path(sys.executable).parents[1])
        with (root / ".git" / "info" / "exclude").open("a") as exclude:
            exclude.write("/.venv\n")
        (root / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {cache}\n")


def overlay(root: Path) -> None:
    """Bring a clone to the state of this work tree: what git knows, and what it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    here = {name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()}
    known = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
    for name in {name for name in known.stdout.split("\0") if name} - here:
        (root / name).unlink()
    for name in here:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    commit = ["git", "commit", "--quiet", "--allow-empty", "--message", "The work tree under test"]
    subprocess.run(commit, cwd=root, check=True)


def contents(tar: bytes) -> dict[str, bytes]:
    """The files of a bundle, without its manifest."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read() for name, file in files.items() if file and name != bundle.MANIFEST}


def rebuilt(candidate: Candidate, change: Callable[[dict[str, bytes]], Mapping[str, bytes]]) -> Candidate:
    """Another bundle in which some files differ, with the digests that belong to it."""
    files = contents(candidate.tar)
    record = json.loads(candidate.manifest)
    tar, listing = bundle.pack(record["model"], {**files, **change(files)})
    record |= {**listing.model_dump(), "bundle": {"sha256": digest(tar), "bytes": len(tar)}}
    return candidate._replace(tar=tar, manifest=json.dumps(record, indent=2) + "\n")


def with_note(candidate: Candidate, note: str) -> Candidate:
    """A sound candidate that differs in its model card only."""
    return rebuilt(candidate, lambda files: {bundle.CARD: files[bundle.CARD] + f"\n{note}\n".encode()})


def scorer_of(tar: bytes, folder: Path) -> Scorer:
    """The model of a bundle, offline."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        archive.extractall(folder, filter="data")
    return Bundle(folder).scorer()


def digest(content: bytes) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(content).hexdigest()


def rewrite(file: Path, content: bytes) -> None:
    """Replace a file that may be a link into DVC's cache, and write-protected."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def free_port() -> int:
    """A port that was free a moment ago, below those that the kernel gives away by itself."""
    for port in range(21000 + os.getpid() % 4000, 32000):
        with socket.socket() as attempt, contextlib.suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise OSError("no port is free")


_given: set[int] = set()


def until(check: Callable[[], object], what: str, seconds: float = 30.0, pause: float = 0.01) -> float:
    """Wait until something holds; the seconds that it took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return time.monotonic() - began


def says(process: subprocess.Popen[str], word: str) -> None:
    """Read what a command prints, until a word comes."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return
    raise AssertionError(f"{word!r} was never said: {lines}")


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """See that a process that a test started does not outlive it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
