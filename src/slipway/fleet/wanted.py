"""Which release a command wants: named, the work tree, what git declares, or the one before."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from slipway.errors import InputError, Refused
from slipway.fleet import host
from slipway.fleet.context import Context
from slipway.fleet.host import Report
from slipway.release import chain, desired, quarantine, target
from slipway.release.names import ReleaseName
from slipway.release.target import Target
from slipway.serving.release import ReleaseRecord


class Wanted(NamedTuple):
    """What is to be live, and why."""

    record: ReleaseRecord
    source: Target | None
    """None where the release is on the hosts already and need not be had from anywhere else."""
    action: str

    @property
    def name(self) -> ReleaseName | None:
        """Its name in git; None for a candidate, which git does not know."""
        if host.is_candidate(self.record.release):
            return None
        return ReleaseName.from_tag(f"{self.record.model}@{self.record.release}", self.record.model)


def refuse_work_tree(context: Context) -> None:
    """Raise InputError where an environment takes releases only."""
    if not context.environment.is_here:
        raise InputError(f"{context.environment.name} takes releases only", next_command="slipway release")


def candidate(context: Context, reports: Mapping[str, Report]) -> Wanted:
    """The work tree.

    Raises:
        InputError: The pipeline has not run.
    """
    found = target.candidate(context.environment.repository, context.settings)
    return Wanted(candidate_record(context, found, reports), found, "deploy")


def released(context: Context, release: str, action: str = "deploy") -> Wanted:
    """A release of git.

    Raises:
        InputError: There is no such release; the newest ones are named.
        Refused: Its tag cannot be trusted. On this machine a person rolls out what is their own.
    """
    name = ReleaseName.parse(release, context.model)
    found = target.released(context.environment.repository, name)
    if context.environment.is_sealed:
        chain.check(context.environment.repository, name)
    return Wanted(record_of(context, found), found, action)


def declared(context: Context, reports: Mapping[str, Report]) -> Wanted:
    """What git's newest desired state says.

    Raises:
        InputError: There is none.
        Refused: It cannot be trusted, or the hosts have been brought to a newer one, which git lacks.
    """
    name, repository, sealed = (
        context.environment.name,
        context.environment.repository,
        context.environment.is_sealed,
    )
    desired.refuse_forged(repository, context.model, name, sealed=sealed)
    found = desired.current(repository, context.model, name, sealed=sealed)
    if found is None:
        raise InputError(
            f"git declares no desired state of {name}: there is no tag {context.model}#{name}#N",
            next_command=f"slipway deploy {name} RELEASE",
        )
    if (number := host.newest_state(reports, context.model)) > found.name.number:
        newest = found.name._replace(number=number)
        raise Refused(
            f"git's newest desired state of {name} is {found.name.tag}, but the hosts have been brought to {newest.tag}: "
            f"somebody has removed tags, or not told the origin of them",
            next_command=f"git push origin 'refs/tags/{newest.tag}', where it is; or slipway deploy {name} RELEASE",
        )
    return released(context, found.release.label, found.action)


def earlier(context: Context, release: str | None, reports: Mapping[str, Report]) -> Wanted:
    """An older release, or the one before; where every host has it whole, it is not fetched again.

    Raises:
        InputError: There is nothing older, or it is not to be had.
    """
    label = _label_before(context, reports) if release is None else _label(context, release)
    on_hosts = installed_everywhere(reports).get(label)
    if on_hosts and on_hosts.model == context.model:
        return Wanted(on_hosts, None, "rollback")
    if host.is_candidate(label):
        there = ", ".join(installed_everywhere(reports)) or "none"
        raise InputError(
            f"{label} is not on {context.environment.name}, or not whole; there are: {there}",
            next_command=f"slipway status {context.environment.name}",
        )
    return released(context, label, "rollback")


def before_last(
    reports: Mapping[str, Report], model: str, barred: Collection[str] = ()
) -> ReleaseRecord | None:
    """The release that was live before the one that was live last, and that is not barred."""
    entries = (entry for entry in host.longest(reports) if entry.record.model == model)
    return host.before(entries, barred)


def installed_everywhere(reports: Mapping[str, Report]) -> dict[str, ReleaseRecord]:
    """The releases that every host has, whole and the same, by label."""
    first, *others = [report.installed for report in reports.values()] or [{}]
    return {
        label: record for label, record in first.items() if all(each.get(label) == record for each in others)
    }


def record_of(context: Context, found: Target) -> ReleaseRecord:
    """The identity that a target has on a host."""
    return ReleaseRecord(
        model=context.model,
        release=found.label,
        commit=found.pins.commit,
        bundle=str(found.pins.bundle.sha256),
        runtime=str(found.pins.runtime.sha256),
    )


def candidate_record(context: Context, found: Target, reports: Mapping[str, Report]) -> ReleaseRecord:
    """A candidate's identity: its own, or that of the live release where that has the very same bytes."""
    record = record_of(context, found)
    same = [
        report.live
        for report in reports.values()
        if report.live and (report.live.bundle, report.live.runtime) == (record.bundle, record.runtime)
    ]
    return same[0] if same else record


def _label(context: Context, release: str) -> str:
    label = release.removeprefix(f"{context.model}@")
    return label if host.is_candidate(label) else ReleaseName.parse(release, context.model).label


def _label_before(context: Context, reports: Mapping[str, Report]) -> str:
    name = context.environment.name
    sealed = context.environment.is_sealed
    barred = quarantine.current(context.environment.repository, context.model, sealed=sealed)
    found = before_last(reports, context.model, barred)
    if found is None:
        raise InputError(
            f"there is nothing to roll {name} back to: nothing older was live there",
            next_command=f"slipway history {name}",
        )
    return found.release
