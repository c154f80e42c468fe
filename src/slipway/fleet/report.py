"""What is, what should be, and what a deploy would do: nothing here changes anything."""

from typing import Any, NamedTuple

from pydantic import ValidationError

from slipway.errors import Refused
from slipway.fleet import host, terraform
from slipway.fleet.context import Context
from slipway.fleet.environment import STATE_FOLDER
from slipway.fleet.wanted import candidate_record, record_of
from slipway.release import desired, objects, target
from slipway.release.names import ReleaseName
from slipway.serving.release import ReleaseRecord


class Status(NamedTuple):
    """Three accounts of an environment: git's, the host's links, and the answering process's."""

    environment: str
    url: str | None
    desired: str | None
    """The release that git's newest desired state names."""
    desired_tag: str | None
    live: ReleaseRecord | None
    """By the host's links."""
    slot: str | None
    answers: ReleaseRecord | None
    """By the process behind the front door."""
    installed: list[str]
    problems: list[str]


class Plan(NamedTuple):
    """What a deploy would change."""

    environment: str
    live: str | None
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
    environment = context.environment
    wanted, broken = _desired(context)
    live = host.live(environment.folder)
    url = _url(context)
    answer = host.asked(url, "/metadata") if url else None
    answers = _record(answer or {})
    return Status(
        environment=environment.name,
        url=url,
        desired=wanted.release.label if wanted else None,
        desired_tag=wanted.name.tag if wanted else None,
        live=live[1] if live else None,
        slot=live[0] if live else None,
        answers=answers,
        installed=list(host.installed(environment.folder)),
        problems=broken
        + _problems(wanted.release.label if wanted else None, live[1] if live else None, answers),
    )


def _desired(context: Context) -> tuple[desired.Desired | None, list[str]]:
    """What git wants, and why that cannot be told: a broken tag must not hide the hosts."""
    try:
        return desired.current(context.environment.repository, context.model, context.environment.name), []
    except Refused as error:
        return None, [str(error)]


def _record(answer: dict[str, Any]) -> ReleaseRecord | None:
    try:
        return ReleaseRecord(**{key: answer[key] for key in ReleaseRecord.model_fields})
    except (KeyError, ValidationError):
        return None


def _problems(wanted: str | None, live: ReleaseRecord | None, answers: ReleaseRecord | None) -> list[str]:
    if live is None:
        return ["nothing is deployed"]
    problems = []
    if answers is None:
        problems.append(f"{live.release} should be serving, but the front door does not answer")
    elif answers != live:
        problems.append(f"{live.release} should be serving, but {answers.release} answers")
    if wanted and wanted != live.release and not host.is_candidate(live.release):
        problems.append(f"git wants {wanted}, the host has {live.release}")
    return problems


def plan(context: Context, release: str | None) -> Plan:
    """What `deploy` of the same arguments would do.

    Raises:
        InputError: There is no such release, or the pipeline has not run.
    """
    environment = context.environment
    repository, home = environment.repository, environment.folder
    if release is None:
        found = target.candidate(repository, context.settings)
        record, stale = (
            candidate_record(context, found, {"local-1": host.report(environment.folder)}),
            list(objects.changed_stages(repository.root)),
        )
    else:
        record = record_of(context, target.released(repository, ReleaseName.parse(release, context.model)))
        stale = []
    environment.prepare()
    root = terraform.Terraform(environment, terraform.find(repository.root / STATE_FOLDER / "bin").path)
    root.init()
    live = host.live(home)
    url = _url(context)
    serves = bool(live and live[1] == record and url and host.asked(url, "/readyz"))
    return Plan(
        environment=environment.name,
        live=live[1].release if live else None,
        target=record.release,
        stale=stale,
        infrastructure=root.plan(),
        install_release=record not in host.installed(home).values(),
        install_runtime=all(known.runtime != record.runtime for known in host.installed(home).values()),
        swap=not serves,
    )


def _url(context: Context) -> str | None:
    """The front door, by what Terraform put out last."""
    environment = context.environment
    if not (environment.folder / "inventory.yml").is_file():
        return None
    binary = terraform.find(environment.repository.root / STATE_FOLDER / "bin")
    return terraform.Terraform(environment, binary.path).fleet().url
