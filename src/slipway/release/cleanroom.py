"""A clean room: a commit in a clone of its own, where each stage of its pipeline runs on what it declares and nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.errors import InputError, Locked, MachineError
from slipway.release import keys
from slipway.release.git import Repository
from slipway.release.redact import without_credentials

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

_INIT = "__init__.py"


class Stage(NamedTuple):
    """A stage of the pipeline, as a commit declares and locks it. Paths are relative to the repository."""

    name: str
    commands: tuple[str, ...]
    folder: str
    """In which the commands run."""
    inputs: tuple[str, ...]
    """Files and folders, those of parameters among them."""
    outputs: dict[str, str]
    """What the lock says that it makes: digests by path; empty where the lock knows none."""
    stale: tuple[str, ...]
    """Why the lock is not of this commit, in words: what has changed since the stage ran."""
    edited: tuple[str, ...]
    """Outputs that git keeps, and that are not what the lock says."""


class Made(NamedTuple):
    """What came of running a stage."""

    folder: Path
    outputs: dict[str, str]
    """Digests by path; those that are there."""
    failure: str
    """The last words of a stage that failed, or lacks an output; empty where it went well."""


class Room:
    """The clone of a commit, and the outputs of the stages that have run in it."""

    def __init__(self, folder: Path, repo: "Repo") -> None:
        self._folder = folder
        self._clone = Path(repo.root_dir)
        self._repo = repo
        self._made: dict[str, Path] = {}
        self._runs = 0
        self.stages = self._sorted()
        """Each after those that it depends on."""

    def _sorted(self) -> list[Stage]:
        import networkx as nx  # type: ignore[import-untyped]  # noqa: PLC0415 - comes with DVC, which takes a second to import
        from dvc.stage import PipelineStage  # noqa: PLC0415

        index = self._repo.index
        order = {stage: number for number, stage in enumerate(index.stages)}
        graph = index.graph.reverse()
        sorted_stages = nx.lexicographical_topological_sort(graph, key=order.__getitem__)
        return [self._stage(stage) for stage in sorted_stages if isinstance(stage, PipelineStage)]

    def path(self, name: str) -> Path:
        """Where a file of the commit is, or what a stage has made of it."""
        return self._made.get(name, self._clone / name)

    def committed(self, name: str) -> Path | None:
        """A file as git keeps it; None where DVC does."""
        path = self._clone / name
        return path if path.is_file() else None

    def text(self, name: str) -> str | None:
        """Text of such a file; None where it is not there."""
        path = self.path(name)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def run(self, stage: Stage, seed: int, *, everything: bool = False) -> Made:
        """Run a stage in a folder of its own, on the outputs of those before it.

        Args:
            stage: The stage.
            seed: Of Python's hashes, and so of the order of its sets.
            everything: Whether the folder holds the whole commit, and not only what the stage declares.
        """
        self._runs += 1
        folder = self._folder / f"{self._runs:03d}-{stage.name.replace(os.sep, '-')}"
        names = self._all() if everything else [*stage.inputs, *self._packages(stage.inputs)]
        for name in names:
            _copy(self.path(name), folder / name)
        for name in (stage.folder, *(str(Path(output).parent) for output in stage.outputs)):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name in stage.outputs:
            _remove(folder / name)
        failure = self._failure(stage, folder, seed)
        digests = {name: self._digest(folder / name) for name in stage.outputs if (folder / name).exists()}
        missing = [name for name in stage.outputs if name not in digests]
        return Made(folder, digests, failure or (f"it makes no {', '.join(missing)}" if missing else ""))

    def keep(self, made: Made) -> None:
        """Let later stages find what this run has made."""
        self._made |= {name: made.folder / name for name in made.outputs}

    def _failure(self, stage: Stage, folder: Path, seed: int) -> str:
        binaries = Path(sys.executable).parent
        environment = {
            **keys.withheld(),
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": str(folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for command in stage.commands:
            done = subprocess.run(  # noqa: S602 - the commit's own command, which DVC gives to a shell, too
                command, shell=True, cwd=folder / stage.folder, env=environment, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
            if done.returncode:
                return _last_words(done.stdout) or f"exit code {done.returncode}"
        return ""

    def _stage(self, stage: "PipelineStage") -> Stage:
        commands = stage.cmd if isinstance(stage.cmd, list) else [stage.cmd or ""]
        makers = {out.fs_path: out for other in self._repo.index.stages for out in other.outs}
        stale = ["command"] if stage.cmd_changed else []
        for dep in stage.deps:
            maker = makers.get(dep.fs_path)
            if maker is None or maker.stage.is_data_source:
                stale += [self._changed(dep, how) for how in dep.workspace_status().values()]
            elif dep.hash_info != maker.hash_info:
                stale.append(self._name(dep))
        outputs = {self._name(out): str(out.hash_info.value or "") for out in stage.outs}
        kept = [out for out in stage.outs if not out.use_cache and out.hash_info]
        return Stage(
            name=stage.name or stage.addressing,
            commands=tuple(commands),
            folder=self._within(stage.wdir, f"the folder of stage {stage.addressing}"),
            inputs=tuple(self._name(dep) for dep in stage.deps),
            outputs=outputs,
            stale=tuple(stale),
            edited=tuple(self._name(out) for out in kept if out.workspace_status()),
        )

    def _changed(self, dep: "Output", how: Any) -> str:
        """An input that has changed; of parameters, which."""
        return f"{self._name(dep)} ({', '.join(how)})" if isinstance(how, dict) else self._name(dep)

    def _name(self, output: "Output") -> str:
        if output.fs.protocol != "local":
            raise self._outside(str(output))
        return self._within(output.fs_path, str(output))

    def _within(self, path: str, what: str) -> str:
        if not Path(path).is_relative_to(self._clone):
            raise self._outside(what)
        return str(Path(path).relative_to(self._clone))

    @staticmethod
    def _outside(what: str) -> InputError:
        return InputError(
            f"{what} is outside of the repository, and cannot be put into a clean room",
            next_command="change dvc.yaml, then dvc repro",
        )

    def _all(self) -> Iterable[str]:
        """Every file of the commit, and all that has been made."""
        listed = Repository(self._clone).files()
        return dict.fromkeys([*listed, *self._sources(), *self._made])

    def _sources(self) -> list[str]:
        """Data that `dvc add` keeps."""
        return [
            self._name(out) for stage in self._repo.index.stages if stage.is_data_source for out in stage.outs
        ]

    def _packages(self, names: Sequence[str]) -> list[str]:
        """A package's `__init__.py` comes with its modules."""
        folders = {parent for name in names if name.endswith(".py") for parent in Path(name).parents}
        return sorted(str(each / _INIT) for each in folders if (self._clone / each / _INIT).is_file())

    def _digest(self, path: Path) -> str:
        """As DVC writes it into its lock."""
        from dvc.fs import LocalFileSystem  # noqa: PLC0415 - DVC takes a second to import
        from dvc_data.hashfile.build import build  # noqa: PLC0415

        _, _, found = build(self._repo.cache.local, str(path), LocalFileSystem(), "md5", dry_run=True)
        return str(found.hash_info.value)


@contextmanager
def opened(repository: Repository, commit: str) -> "Iterator[Room]":
    """A clean room for a commit, with the data that it points to; nothing is left of it.

    Raises:
        InputError: The pipeline of the commit cannot be read.
        MachineError: Data is neither in DVC's cache nor in its remote.
        Locked: Another DVC command is at it.
    """
    from dvc.exceptions import DvcException  # noqa: PLC0415 - DVC takes a second to import
    from dvc.lock import LockError  # noqa: PLC0415
    from dvc.repo import Repo  # noqa: PLC0415

    with TemporaryDirectory(prefix="slipway-verify-") as temporary:
        # DVC and git name files by their true paths.
        folder = Path(temporary).resolve()
        clone = repository.clone(folder / "clone", commit)
        with ExitStack() as stack:
            # What goes wrong later, while the room is used, is not of the commit's making.
            try:
                with Repo(str(repository.root)) as own:
                    # Objects come from where they are; what a remote's path is relative to, is not in the clone.
                    settings = {
                        "cache": {"dir": own.cache.local.path},
                        "core": {**own.config["core"], "site_cache_dir": str(folder / "site")},
                        "remote": own.config["remote"],
                    }
                repo = stack.enter_context(Repo(str(clone), config=settings))
                sources = [stage.addressing for stage in repo.index.stages if stage.is_data_source]
            except DvcException as error:
                raise InputError(
                    f"the pipeline of {commit[:7]} cannot be read: {_line(error)}", next_command="dvc status"
                ) from error
            try:
                for source in sources:
                    repo.pull(targets=[source])
                room = Room(folder, repo)
            except LockError as error:
                raise Locked(
                    "another DVC command is at it", next_command="wait, then the same command again"
                ) from error
            except (DvcException, OSError) as error:
                raise MachineError(
                    f"the data of {commit[:7]} cannot be had: {_line(error)}",
                    next_command="dvc pull, or dvc push where the data was added",
                ) from error
            yield room


def _last_words(said: str) -> str:
    """The last thing that a command said, with what stands below it: an error, and its reasons."""
    lines = said.strip().splitlines()
    start = max((number for number, line in enumerate(lines) if line[:1].strip()), default=0)
    head, *rest = [line.strip() for line in lines[start:]] or [""]
    return f"{head} {'; '.join(rest)}".strip()


def _line(error: Exception) -> str:
    return without_credentials(" ".join(str(error).split()))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
    elif source.exists():
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
