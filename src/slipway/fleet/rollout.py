"""Deploy, roll back, reconcile: decide what an environment should run, and make it so."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from slipway.errors import InputError, MachineError, Refused, RolledBack, SlipwayError
from slipway.fleet import acceptance, host, lock, playbook, terraform
from slipway.fleet.environment import STATE_FOLDER, Environment, Fleet, inventory
from slipway.fleet.progress import Progress
from slipway.params import Params
from slipway.pipeline import reproduce
from slipway.release import desired, objects, target
from slipway.release.names import ReleaseName
from slipway.release.target import Target
from slipway.serving.release import ReleaseRecord

_UNPACKED = 8
"""A runtime takes about this many times the space of its tar while it is installed."""


class Context(NamedTuple):
    """What every command on an environment needs."""

    environment: Environment
    settings: Params
    progress: Progress
    now: Callable[[], datetime]
    command: str

    @property
    def model(self) -> str:
        return self.settings.model.name


class Outcome(NamedTuple):
    """How a roll-out ended."""

    record: ReleaseRecord
    url: str
    changed: int
    """Tasks that changed something."""
    acceptance: acceptance.Result | None


class _UnfinishedError(MachineError):
    """The release is live, but its roll-out did not come to its end."""


class _Wanted(NamedTuple):
    record: ReleaseRecord
    source: Target | None
    """None where the release is on the hosts already and need not be had from anywhere else."""
    action: str


def up(context: Context, on_event: Callable[[reproduce.Event], None]) -> Outcome:
    """Run the pipeline as far as something has changed, and roll the work tree out, as one change.

    Raises:
        Refused: The model misses a gate; nothing is rolled out.
        Locked: Another command is changing the environment.
        RolledBack: The candidate failed, and what served before is serving.
    """
    with _lock(context) as held:
        reproduce.reproduce(context.environment.repository.root, on_event, held)
        context.progress.end()
        return _bring(context, _candidate(context), held)


def deploy(context: Context, release: str | None) -> Outcome:
    """Roll out a release, or, on `local`, the work tree as a candidate.

    Raises:
        Locked: Another command is changing the environment.
        RolledBack: The release failed, and what served before is serving.
    """
    with _lock(context) as held:
        if release is None:
            wanted = _candidate(context)
            if changed := objects.changed_stages(context.environment.repository.root):
                context.progress.say("pipeline", ", ".join(changed), "not up to date: make up runs it first")
            return _bring(context, wanted, held)
        chosen = target.released(context.environment.repository, ReleaseName.parse(release, context.model))
        return _bring(context, _Wanted(record_of(context, chosen), chosen, "deploy"), held)


def reconcile(context: Context) -> Outcome:
    """Make live what git's newest desired state says."""
    with _lock(context) as held:
        name = context.environment.name
        wanted = desired.current(context.environment.repository, context.model, name)
        if wanted is None:
            raise InputError(
                f"git declares no desired state of {name}: there is no tag {context.model}#{name}#N",
                next_command=f"slipway deploy {name} RELEASE",
            )
        found = target.released(context.environment.repository, wanted.release)
        return _bring(context, _Wanted(record_of(context, found), found, wanted.action), held)


def roll_back(context: Context, release: str | None) -> Outcome:
    """Go back to an earlier release, or to the one before; what is on the hosts is not fetched again."""
    with _lock(context) as held:
        return _bring(context, _earlier(context, release), held)


def stop(context: Context) -> None:
    """Stop everything that runs; what is installed stays."""
    folder = context.environment.folder
    if not ((folder / "inventory.yml").is_file() or (folder / "run").is_dir()):
        return
    with _lock(context) as held:
        if not (folder / "inventory.yml").is_file():
            _read_fleet(context)
        context.progress.begin("stop", "service manager")
        playbook.run(context.environment, "stop", {}, lambda _: None, held)
        context.progress.end()


def record_of(context: Context, found: Target) -> ReleaseRecord:
    """The identity that a target has on a host."""
    return ReleaseRecord(
        model=context.model,
        release=found.label,
        commit=found.pins.commit,
        bundle=str(found.pins.bundle.sha256),
        runtime=str(found.pins.runtime.sha256),
    )


def candidate_record(context: Context, found: Target) -> ReleaseRecord:
    """A candidate's identity: its own, or that of the live release where that has the very same bytes."""
    record = record_of(context, found)
    live = host.live(context.environment.folder)
    same = live and (live[1].bundle, live[1].runtime) == (record.bundle, record.runtime)
    return live[1] if live and same else record


@contextmanager
def _lock(context: Context) -> Iterator[int]:
    """Hold the environment; a disk that fills up meanwhile, or the like, is said in a line."""
    context.environment.prepare()
    owner = lock.owner(context.command, getpass.getuser(), os.getpid(), context.now())
    try:
        with lock.held(context.environment.folder / "lock", owner) as held:
            yield held
    except OSError as error:
        raise MachineError(
            f"{error.filename or context.environment.folder}: {error.strerror or error}",
            next_command="slipway doctor",
        ) from error


def _candidate(context: Context) -> _Wanted:
    if not context.environment.takes_candidates:
        raise InputError(f"{context.environment.name} takes releases only", next_command="slipway release")
    found = target.candidate(context.environment.repository, context.settings)
    return _Wanted(candidate_record(context, found), found, "deploy")


def _declare(context: Context, record: ReleaseRecord, action: str) -> None:
    """Write down in git what the environment should run, where that is a release: candidates are not in git."""
    environment = context.environment
    name = ReleaseName.from_tag(f"{context.model}@{record.release}", context.model)
    if name and not host.is_candidate(record.release):
        declared = desired.declare(environment.repository, environment.name, name, action, context.now())
        context.progress.say("desired", declared.name.tag, declared.release.label)


def _earlier(context: Context, release: str | None) -> _Wanted:
    home, name = context.environment.folder, context.environment.name
    if release is None:
        found = host.before(entry for entry in host.log(home) if entry.record.model == context.model)
        if found is None:
            raise InputError(
                f"there is nothing to roll {name} back to: nothing older was live there",
                next_command=f"slipway history {name}",
            )
        label = found.release
    else:
        label = release.removeprefix(f"{context.model}@")
        if not host.is_candidate(label):
            label = ReleaseName.parse(release, context.model).label
    on_host = host.installed(home).get(label)
    if on_host and on_host.model == context.model:
        return _Wanted(on_host, None, "rollback")
    if host.is_candidate(label):
        there = ", ".join(host.installed(home)) or "none"
        raise InputError(
            f"{label} is not on {name}, or not whole; there are: {there}",
            next_command=f"slipway status {name}",
        )
    source = target.released(context.environment.repository, ReleaseName.parse(label, context.model))
    return _Wanted(record_of(context, source), source, "rollback")


def _bring(context: Context, wanted: _Wanted, held: int) -> Outcome:
    """Make `wanted` live on every host of the environment and prove it, or leave what was; git says which."""
    before = host.live(context.environment.folder)
    variables = _variables(context, wanted)
    if wanted.source and wanted.source.release is None:
        return _change(context, wanted, variables, before, held)
    _declare(context, wanted.record, wanted.action)
    try:
        return _change(context, wanted, variables, before, held)
    except SlipwayError as error:
        # Git must say what serves, where that is a release.
        if before and not isinstance(error, _UnfinishedError):
            _declare(context, before[1], "abort")
        raise


def _change(
    context: Context,
    wanted: _Wanted,
    variables: dict[str, object],
    before: tuple[str, ReleaseRecord] | None,
    held: int,
) -> Outcome:
    fleet = _provision(context, wanted)
    changed = _roll_out(context, wanted.record, variables, before, held, fleet)
    result = None
    if wanted.source and wanted.action == "deploy":
        try:
            result = _accept(context, wanted.record, wanted.source, fleet.url)
        except SlipwayError as error:
            context.progress.end("failed")
            raise _undone(context, wanted.record, before, held, fleet, error) from error
    return Outcome(wanted.record, fleet.url, changed, result)


def _provision(context: Context, wanted: _Wanted) -> Fleet:
    """Apply Terraform; going back changes no machines, so it only reads what was put out."""
    environment, progress = context.environment, context.progress
    progress.begin("provision", "terraform")
    binary = terraform.find(environment.repository.root / STATE_FOLDER / "bin")
    root = terraform.Terraform(environment, binary.path)
    if wanted.action == "deploy" or not root.applied:
        root.init()
        if changes := root.plan():
            root.apply()
        progress.end("applied" if changes else "no changes")
    fleet = _read_fleet(context)
    progress.end("as it is")
    return fleet


def _read_fleet(context: Context) -> Fleet:
    """What Terraform put out last, written down as Ansible's inventory."""
    environment = context.environment
    binary = terraform.find(environment.repository.root / STATE_FOLDER / "bin")
    fleet = terraform.Terraform(environment, binary.path).fleet()
    (environment.folder / "inventory.yml").write_text(inventory(fleet, {}), encoding="utf-8")
    return fleet


def _roll_out(
    context: Context,
    record: ReleaseRecord,
    variables: dict[str, object],
    before: tuple[str, ReleaseRecord] | None,
    held: int,
    fleet: Fleet,
) -> int:
    progress = context.progress
    hosts, phase = ", ".join(fleet.hosts), "preflight"

    def on_step(step: playbook.Step) -> None:
        nonlocal phase
        phase = step.phase or phase
        progress.begin("rollout", f"{hosts}  {phase}", f"{hosts}  {phase}: {step.task}")

    def on_cancel() -> None:
        progress.say("cancelled", "the hosts finish", "so that none is left between two releases")

    try:
        done = playbook.run(context.environment, "rollout", variables, on_step, held, on_cancel)
        changed = done.changed
    except playbook.TaskFailed as error:
        progress.end("failed")
        if error.phase == "preflight":
            raise MachineError(
                f"{record.release} was not rolled out, and nothing was changed\n  {error}",
                next_command="mend that, then the same command again",
            ) from error
        raise _rolled_back(context, record, before, fleet, error) from error
    progress.end(f"{changed} changes" if changed else "nothing changed")
    return changed


def _variables(context: Context, wanted: _Wanted) -> dict[str, object]:
    """What the role is told; the bytes are had, and checked, only where a host lacks them."""
    variables: dict[str, object] = {
        "model_server_release": wanted.record.model_dump(),
        "model_server_action": wanted.action,
        "model_server_by": getpass.getuser(),
    }
    home, source = context.environment.folder, wanted.source
    if source is None:
        return variables
    repository = context.environment.repository
    try:
        bundle = source.file(repository, source.pins.bundle)
        runtime = source.file(repository, source.pins.runtime)
    except SlipwayError:
        # What is on the hosts, whole, need not be had again.
        if wanted.record in host.installed(home).values():
            return variables
        raise
    return {
        **variables,
        "model_server_bundle_url": bundle.resolve().as_uri(),
        "model_server_runtime_url": runtime.resolve().as_uri(),
        "model_server_free_bytes_minimum": _UNPACKED * (bundle.stat().st_size + runtime.stat().st_size),
    }


def _accept(context: Context, record: ReleaseRecord, source: Target, url: str) -> acceptance.Result:
    folder = context.environment.folder / "acceptance"
    if known := acceptance.kept(record, folder):
        context.progress.say("prove", f"{known.rows} acceptance rows", "proven before")
        return known
    repository = context.environment.repository
    context.progress.begin("prove", "acceptance rows, live")
    result = acceptance.prove(
        url,
        record,
        source.file(repository, source.pins.acceptance),
        source.file(repository, source.pins.bundle),
        source.pins.metrics["validation"],
        context.settings.acceptance,
    )
    acceptance.keep(result, folder)
    context.progress.end(
        f"{result.rows} rows equal offline; recall {result.live['recall']:.3f} "
        f"(validation {result.validation['recall']:.3f}), "
        f"ROC AUC {result.live['roc_auc']:.3f} ({result.validation['roc_auc']:.3f})"
    )
    return result


def _undone(
    context: Context,
    record: ReleaseRecord,
    before: tuple[str, ReleaseRecord] | None,
    held: int,
    fleet: Fleet,
    error: SlipwayError,
) -> SlipwayError:
    """Take back a release that is live but failed its acceptance test."""
    home = context.environment.folder
    # Where the test was left out once, by a command that was cut short, what served before is in the log.
    old = before[1] if before and before[1] != record else host.before(host.log(home))
    if old is None or old not in host.installed(home).values():
        playbook.run(context.environment, "stop", {}, lambda _: None, held)
        return Refused(f"{record.release} failed its acceptance test and was stopped: {error}")
    _roll_out(context, old, _variables(context, _Wanted(old, None, "abort")), before, held, fleet)
    return _rolled_back(context, record, ("", old), fleet, error)


def _rolled_back(
    context: Context,
    record: ReleaseRecord,
    before: tuple[str, ReleaseRecord] | None,
    fleet: Fleet,
    error: SlipwayError,
) -> SlipwayError:
    """The error to raise; what it says of the service has been asked of it."""
    answers = (host.asked(fleet.url, "/metadata") or {}).get("release")
    if before is None and answers and answers != record.release:
        return RolledBack(
            f"{record.release} was not rolled out; {answers} answers\n  {error}",
            next_command=f"slipway status {context.environment.name}",
        )
    if answers == record.release and not (before and before[1] == record):
        return _UnfinishedError(
            f"{record.release} is live, but its roll-out did not come to its end\n  {error}",
            next_command="the same command again",
        )
    if before is None:
        serving = "nothing served before, and nothing does"
    elif answers == before[1].release:
        serving = f"{before[1].release} is still serving"
    else:
        serving = f"{before[1].release} was live before, but does not answer on {fleet.url}"
    return RolledBack(
        f"{record.release} was not rolled out; {serving}\n  {error}",
        next_command=f"slipway status {context.environment.name}",
    )
