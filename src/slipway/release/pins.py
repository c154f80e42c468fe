"""What a commit, or the work tree, pins: the bytes of bundle and runtime, and what is known of the model."""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from slipway.errors import InputError
from slipway.release.git import Repository

_RECORDS = ("manifest", "runtime-record", "metrics")
"""The artefacts of `dvc.yaml` that tell in git of what DVC stores."""

_ADDRESS = re.compile(r"[0-9a-f]{32}(\.dir)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")

_DEEPEST = 100
"""As nested as what DVC writes may be: it is a tenth of that."""
_MEASURED = {
    "train": ("accuracy",),
    "validation": ("accuracy", "recall", "false_negative_rate", "roc_auc"),
    "baseline": ("roc_auc",),
}
"""What gates read, by part."""


class Pin(NamedTuple):
    """One object that DVC stores."""

    name: str
    """Of the artefact in `dvc.yaml`."""
    path: str
    md5: str
    """DVC's address of it."""
    sha256: str | None
    """What its bytes must hash to; None where no record in git tells."""


class Pins(NamedTuple):
    """Everything that a release consists of, by digest."""

    commit: str
    bundle: Pin
    runtime: Pin
    acceptance: Pin
    contract: str
    """Digest of the contract."""
    model: str
    """Digest of `model.onnx`."""
    metrics: dict[str, dict[str, float]]
    """By part: train, validation, baseline."""
    manifest: str
    """Path of the record that names the bundle's digests."""
    validation: Pin | None
    """The rows that metrics are measured on; None where an older dvc.yaml does not declare them."""
    data: str | None
    """Digest of the data that it is made of; None where an older pipeline has not written it down."""
    parameters: str | None
    """Digest of the parameters that it is made by; likewise."""
    wheels: tuple[str, ...] = ()
    """Names of the files that the runtime installs; empty where an older pipeline has not written them down."""
    train: Pin | None = None
    """The rows that the model is trained on; None where an older dvc.yaml does not declare them."""


def at(repository: Repository, revision: str, model: str) -> Pins:
    """What `revision` pins.

    Raises:
        InputError: The revision lacks a file that a release needs, or one of them cannot be read.
    """
    commit = repository.resolve(revision)
    if commit is None:
        raise InputError(f"there is no revision {revision}")
    return read_from(commit, model, revision, lambda path: repository.read(commit, path))


def records(repository: Repository, commit: str) -> dict[str, str]:
    """What the pipeline wrote into git itself, rather than into DVC: md5 by path, as `dvc.lock` has it."""
    lock = _yaml(repository, commit, "dvc.lock")
    outs = [out for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])]
    # A folder has no bytes of its own: DVC's digest is of a list that git does not keep.
    return {out["path"]: out["md5"] for out in outs if repository.content(commit, out["path"]) is not None}


def unlocked(repository: Repository, commit: str) -> list[str]:
    """The records that a release is read from and that `dvc.lock` does not pin: anybody may have written them."""
    artefacts = _yaml(repository, commit, "dvc.yaml").get("artifacts", {})
    locked = records(repository, commit)
    paths = [artefacts[name]["path"] for name in _RECORDS if name in artefacts]
    return [path for path in paths if path not in locked]


def address(written: Any) -> str:
    """DVC's address of an object, as somebody has written it: it becomes a path, and must not lead out of DVC's cache.

    Raises:
        ValueError: It is none.
    """
    return _digest(_ADDRESS, written)


def _digest(pattern: re.Pattern[str], written: Any) -> str:
    if not (isinstance(written, str) and pattern.fullmatch(written)):
        raise ValueError(f"{written!r} is no digest")
    return written


def _metrics(written: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Metrics as gates, reports and releases read them: by part, and nothing but numbers.

    Raises:
        ValueError: They are not so.
    """
    for part, names in _MEASURED.items():
        if lacking := [name for name in names if name not in written.get(part, {})]:
            raise ValueError(f"the metrics of {part} lack {', '.join(lacking)}")
    for part, values in written.items():
        for name, value in values.items():
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError(f"{name} of {part} is {value!r}, which is no number")  # noqa: TRY004
    return written


def _loaded(text: str) -> Any:
    """What DVC has written, by the loader in C: a lock takes a tenth of the time that it takes in Python.

    Raises:
        YAMLError: It is none, or so nested that the loader would take the process with it.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {_DEEPEST} deep")
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _yaml(repository: Repository, commit: str, path: str) -> dict[str, Any]:
    return _loaded(repository.read(commit, path) or "") or {}


def in_work_tree(repository: Repository, model: str) -> Pins:
    """What the work tree pins.

    Raises:
        InputError: The pipeline has not run.
    """

    def read(path: str) -> str | None:
        file = repository.root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    return read_from(repository.head(), model, "the work tree", read)


def read_from(commit: str, model: str, where: str, read: Callable[[str], str | None]) -> Pins:
    """What the files of the pipeline pin, wherever they are.

    Args:
        commit: Of which they are.
        model: Whose bundle it is.
        where: In words, for errors.
        read: The text of a file by its path; None where it is not there.

    Raises:
        InputError: One is missing, or is not as the pipeline writes it.
    """
    try:
        return _pins(commit, model, where, read)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{where}: dvc.yaml, dvc.lock or a record beside them is not as the pipeline writes it: {error!r}",
            next_command="dvc repro --force",
        ) from error


def _pins(commit: str, model: str, where: str, read: Callable[[str], str | None]) -> Pins:
    def need(path: str) -> dict[str, Any]:
        text = read(path)
        if text is None:
            raise InputError(f"{where} has no {path}", next_command="dvc repro")
        try:
            parsed = json.loads(text) if path.endswith(".json") else _loaded(text)
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            raise InputError(
                f"{where}: {path} cannot be read: {' '.join(str(error).split())}",
                next_command=f"git checkout REV -- {path}, of a commit before it was broken; then dvc repro",
            ) from error
        return dict(parsed or {})

    artefacts = need("dvc.yaml").get("artifacts", {})
    locked = {
        out["path"]: out["md5"]
        for stage in need("dvc.lock").get("stages", {}).values()
        for out in stage.get("outs", [])
    }

    def pin(name: str, sha256: str | None = None) -> Pin:
        if name not in artefacts:
            raise InputError(f"{where}: dvc.yaml declares no artefact {name!r}")
        path = artefacts[name]["path"]
        if path not in locked:
            raise InputError(f"{where}: dvc.lock does not pin {path}", next_command="dvc repro")
        return Pin(name, path, address(locked[path]), sha256)

    def record(name: str) -> dict[str, Any]:
        if name not in artefacts:
            raise InputError(f"{where}: dvc.yaml declares no artefact {name!r}")
        return need(artefacts[name]["path"])

    manifest, runtime = record("manifest"), record("runtime-record")
    return Pins(
        commit=commit,
        bundle=pin(model, _digest(_SHA256, manifest["bundle"]["sha256"])),
        runtime=pin("runtime", _digest(_SHA256, runtime["sha256"])),
        acceptance=pin("acceptance"),
        contract=manifest["contract"],
        model=manifest["files"]["model.onnx"],
        metrics=_metrics(record("metrics")),
        manifest=artefacts["manifest"]["path"],
        validation=pin("validation") if "validation" in artefacts else None,
        data=manifest.get("inputs", {}).get("data"),
        parameters=manifest.get("inputs", {}).get("params"),
        wheels=tuple(runtime.get("wheels", ())),
        train=pin("train") if "train" in artefacts else None,
    )
