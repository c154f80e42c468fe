"""What is, what should be, and what a deploy would do: nothing here changes anything."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from slipway.errors import MachineError, Refused
from slipway.fleet import cloud, host, infrastructure, team, wanted
from slipway.fleet.cloud import Machine
from slipway.fleet.collect import collect
from slipway.fleet.context import Context
from slipway.fleet.environment import Fleet
from slipway.fleet.host import Report
from slipway.release import desired, objects, quarantine
from slipway.serving.release import ReleaseRecord

NOTHING = "nothing is deployed"


class HostStatus(BaseModel):
    """Two accounts of a host: its links', and its process's; and what is wrong there."""

    model_config = ConfigDict(frozen=True)

    live: ReleaseRecord | None
    """By the host's links."""
    slot: str
    """The live one; empty before the first roll-out."""
    answers: ReleaseRecord | None
    """By the live slot's process."""
    installed: list[str]
    problems: list[str]


class Status(NamedTuple):
    """The accounts of an environment: git's, each host's, and that of the front door."""

    environment: str
    url: str | None
    desired: str | None
    """The release that git's newest desired state names."""
    desired_tag: str | None
    hosts: dict[str, HostStatus]
    lost: dict[str, str]
    """Hosts that cannot be reached, and why."""
    live: ReleaseRecord | None
    """On every host, by its links; None where they differ."""
    answers: ReleaseRecord | None
    """By the process behind the front door."""
    cloud: dict[str, str]
    """The cloud's own account of the machines: id and state by host; empty where there is no cloud."""
    quarantine: list[str]
    """Releases that are not rolled out, since when, by whom, and why."""
    problems: list[str]


class Plan(NamedTuple):
    """What a deploy would change."""

    environment: str
    live: str | None
    """On every host; None where they differ."""
    target: str
    stale: list[str]
    """Stages of the pipeline that are not up to date: what they will make is not what is planned."""
    infrastructure: bool
    install_release: bool
    install_runtime: bool
    swap: bool

    @property
    def pending(self) -> bool:
        return self.infrastructure or self.swap


def status(context: Context) -> Status:
    """Compare the accounts of an environment."""
    unheard = team.unheard(context)
    wish, broken = _desired(context)
    unread: list[str] = []
    fleet = known_fleet(context, unread.append)
    machines, differences = _cloud(context, fleet)
    reports, lost = collect(context, fleet)
    answers = host.record(host.asked(fleet.url, "/metadata")) if fleet else None
    if context.environment.is_here:
        # The one process of this machine is the one behind the front door.
        reports = {name: report._replace(answers=answers) for name, report in reports.items()}
    label = wish.release.label if wish else None
    problems = {name: problems_of(report, label) for name, report in reports.items()}
    barred = quarantine.current(
        context.environment.repository, context.model, sealed=context.environment.is_sealed
    )
    for name, report in reports.items():
        if report.live and report.live.release in barred:
            problems[name].append(
                f"{report.live.release} is in quarantine: slipway rollback leads away from it"
            )
    return Status(
        environment=context.environment.name,
        url=fleet.url if fleet else None,
        desired=label,
        desired_tag=wish.name.tag if wish else None,
        hosts={
            name: HostStatus(
                live=report.live,
                slot=report.slot,
                answers=report.answers,
                installed=list(report.installed),
                problems=problems[name],
            )
            for name, report in reports.items()
        },
        lost=lost,
        live=_common(reports),
        answers=answers,
        cloud={name: f"{machine.id} {machine.state}" for name, machine in machines.items()},
        quarantine=[str(each) for each in barred.values()],
        problems=[
            *([f"what others have declared is not known: {unheard}"] if unheard else []),
            *broken,
            *unread,
            *differences,
            *_problems(problems, reports, lost),
        ],
    )


def _cloud(context: Context, fleet: Fleet | None) -> tuple[dict[str, Machine], list[str]]:
    """The machines that the cloud has, and where they are not those that Terraform has put out."""
    try:
        machines = cloud.machines(context.environment)
    except MachineError as error:
        return {}, [str(error)]
    if machines is None:
        return {}, []
    return machines, cloud.problems(fleet.hosts if fleet else {}, machines)


def history(context: Context) -> list[host.Entry]:
    """What has been live, the latest first, by the host that remembers most.

    Raises:
        MachineError: No host can be reached.
    """
    here = context.environment.is_here
    say = partial(context.progress.say, "provision", "state")
    reports, lost = collect(context, None if here else known_fleet(context, say))
    if lost and not reports:
        reasons = [f"  {name}: {reason}" for name, reason in lost.items()]
        raise MachineError(
            "\n".join(["no host can be reached:", *reasons]),
            next_command=f"slipway status {context.environment.name}",
        )
    return list(reversed(host.longest(reports)))


def barred(context: Context) -> frozenset[str]:
    """The labels of the releases that are in quarantine."""
    environment = context.environment
    return frozenset(quarantine.current(environment.repository, context.model, sealed=environment.is_sealed))


def _common(reports: Mapping[str, Report]) -> ReleaseRecord | None:
    """What is live on every host."""
    live = {report.live for report in reports.values()}
    return live.pop() if len(live) == 1 else None


def _desired(context: Context) -> tuple[desired.Desired | None, list[str]]:
    """What git wants, and why that cannot be told: a broken tag must not hide the hosts."""
    environment = context.environment
    asked = environment.repository, context.model, environment.name
    try:
        desired.refuse_forged(*asked, sealed=environment.is_sealed)
        return desired.current(*asked, sealed=environment.is_sealed), []
    except Refused as error:
        return None, [str(error)]


def _problems(
    found: Mapping[str, list[str]], reports: Mapping[str, Report], lost: Mapping[str, str]
) -> list[str]:
    problems = [f"{name} cannot be reached: {reason}" for name, reason in lost.items()]
    if not any(report.slot for report in reports.values()):
        return [*problems, NOTHING]
    for name, each in found.items():
        # One host alone needs no name.
        where = f"{name}: " if len(reports) + len(lost) > 1 else ""
        problems += [f"{where}{problem}" for problem in each]
    return problems


def problems_of(report: Report, wanted: str | None) -> list[str]:
    """What is wrong with a host, a sentence each, where git wants a release, or nothing."""
    live, answers = report.live, report.answers
    if not report.slot:
        return [NOTHING]
    if live is None:
        return [f"the release that {report.slot} should serve is gone, or has no record", *report.faults]
    problems = []
    if answers is None:
        problems.append(f"{live.release} should be serving, but does not answer")
    elif answers != live:
        problems.append(f"{live.release} should be serving, but {answers.release} answers")
    if live not in report.installed.values():
        problems.append(f"the files of {live.release} are not whole")
    problems += [
        f"{label} is on the host, but not whole: nothing can go back to it"
        for label in report.damaged
        if label != live.release and not host.is_candidate(label)
    ]
    problems += report.faults
    if wanted and wanted != live.release and not host.is_candidate(live.release):
        problems.append(f"git wants {wanted}, the host has {live.release}")
    return problems


def plan(context: Context, release: str | None) -> Plan:
    """What `deploy` of the same arguments would do.

    Raises:
        InputError: There is no such release, or the pipeline has not run.
        Refused: The release is in quarantine.
    """
    environment = context.environment
    # What is asked for may be wrong: that is said before anything is asked of the hosts.
    if release is None:
        wanted.refuse_work_tree(context)
    named = wanted.released(context, release) if release else None
    if named and named.name:
        quarantine.refuse(environment.repository, named.name, sealed=environment.is_sealed)
    environment.prepare()
    fleet = known_fleet(context)
    reports, _ = collect(context, fleet)
    chosen = named or wanted.candidate(context, reports)
    root = infrastructure.root(context)
    root.init()
    return Plan(
        environment=environment.name,
        live=live.release if (live := _common(reports)) else None,
        target=chosen.record.release,
        stale=[] if release else list(objects.changed_stages(environment.repository.root)),
        infrastructure=root.plan(),
        install_release=chosen.record not in wanted.installed_everywhere(reports).values(),
        install_runtime=not all(_has_runtime(report, chosen.record) for report in reports.values()),
        swap=not (
            fleet and reports and all(_serves(fleet, each, chosen.record) for each in reports.values())
        ),
    )


def _has_runtime(report: Report, record: ReleaseRecord) -> bool:
    return any(known.runtime == record.runtime for known in report.installed.values())


def _serves(fleet: Fleet, report: Report, record: ReleaseRecord) -> bool:
    return report.live == record and bool(report.answers or host.asked(fleet.url, "/readyz"))


def known_fleet(context: Context, on_unread: Callable[[str], None] | None = None) -> Fleet | None:
    """What Terraform put out last; on this machine, only where it has been written down: then nothing is made."""
    if not context.environment.is_here:
        return infrastructure.known(context, on_unread)
    known = (context.environment.folder / "inventory.yml").is_file()
    return infrastructure.root(context).fleet() if known else None
