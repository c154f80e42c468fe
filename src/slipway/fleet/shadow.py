"""A release in the shadow of the live one: asked the same, answering nobody, and judged by the analysis."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from slipway.errors import InputError, MachineError, Refused
from slipway.fleet import acceptance, delivery, infrastructure, playbook, session, team, watch
from slipway.fleet import settings as rollouts
from slipway.fleet.analysis.bake import Bake
from slipway.fleet.analysis.lines import lines
from slipway.fleet.analysis.verdict import SAME_DECISIONS, Decision, Verdict
from slipway.fleet.context import Context
from slipway.fleet.environment import Environment, Fleet, Host
from slipway.fleet.session import Session
from slipway.fleet.wanted import Wanted, candidate, refuse_work_tree, released
from slipway.fleet.watch import Watched

_SPARE_SECONDS = 900
"""For replays; after that the live slot ends it by itself, should the command have been killed."""
_LOOKS = 20
_PAIRED = 2
"""Metrics that only a shadow has; they take their share of alpha from the others."""


class Outcome(NamedTuple):
    """What the analysis said."""

    release: str
    host: str
    verdict: Verdict


def shadow(context: Context, release: str | None, seconds: float) -> Outcome:
    """Start a release beside the live one on the gatekeeper, have it asked the same, and stop it again.

    Args:
        context: The command.
        release: None for the work tree, on `local`.
        seconds: How long.

    Raises:
        InputError: It is live already, or nothing is, or the environment serves another model.
        MachineError: The gatekeeper cannot be reached, or does not start it.
        Refused: The analysis does not say that it may be promoted.
        Locked: Another command is changing the environment.
    """
    if release is None:
        refuse_work_tree(context)
    team.learn(context)
    with session.opened(context) as opened:
        wanted = released(context, release) if release else candidate(context, opened.reports)
        fleet = _fleet(opened)
        name = min(fleet.hosts)
        _refuse_what_cannot_be(opened, wanted, name)
        variables = {
            **delivery.variables(context, wanted, {name: opened.reports[name]}),
            "model_server_shadow_seconds": int(seconds) + _SPARE_SECONDS,
        }
        port = _begin(opened, name, variables)
        try:
            verdict = _watch(context, wanted, fleet.hosts[name], port, seconds)
        finally:
            _play(opened, "unshadow", name, variables)
    if not any(row.metric == SAME_DECISIONS for row in verdict.rows):
        raise Refused(
            f"{wanted.record.release} may not be promoted: the live slot has asked it nothing; perhaps its own "
            f"runtime is older than shadows"
        )
    if verdict.decision is not Decision.PROMOTE:
        raise Refused(
            "\n  ".join([f"{wanted.record.release} may not be promoted:", *lines(verdict)]),
            next_command=f"slipway status {context.environment.name}",
        )
    return Outcome(wanted.record.release, name, verdict)


def _fleet(opened: Session) -> Fleet:
    context = opened.context
    if context.environment.is_here:
        return infrastructure.write_inventory(context, infrastructure.root(context).fleet())
    if opened.fleet:
        return opened.fleet
    raise InputError(
        f"nothing is provisioned in {context.environment.name}, so nothing can be in a shadow there",
        next_command=f"slipway deploy {context.environment.name} RELEASE",
    )


def _refuse_what_cannot_be(opened: Session, wanted: Wanted, name: str) -> None:
    environment = opened.context.environment.name
    if name in opened.lost:
        raise MachineError(f"{name} cannot be reached: {opened.lost[name]}")
    live = opened.reports[name].live
    if live is None:
        raise InputError(
            f"nothing is live on {name}, so nothing can be in its shadow",
            next_command=f"slipway deploy {environment} {wanted.record.release}",
        )
    if live == wanted.record:
        raise InputError(f"{live.release} is live on {name} already, and cannot be in its own shadow")
    if live.model != wanted.record.model:
        raise InputError(f"{name} serves {live.model}, which is another model")


def _begin(opened: Session, name: str, variables: Mapping[str, object]) -> int:
    """Start the shadow; the port of its side door. Where it does not start, the role has taken it away again."""
    try:
        told = _play(opened, "shadow", name, variables).results[name]
    except KeyboardInterrupt:
        _play(opened, "unshadow", name, variables)
        raise
    return int(json.loads(base64.b64decode(told["content"]))["port"])


def _play(opened: Session, which: str, name: str, variables: Mapping[str, object]) -> playbook.Outcome:
    progress = opened.context.progress
    progress.begin("shadow", f"{name}  {which}")

    def on_cancel() -> None:
        progress.say("cancelled", "the host finishes", "and the shadow is stopped")

    try:
        return playbook.run(
            opened.context.environment, which, variables, lambda _: None, opened.held, on_cancel, [name]
        )
    except playbook.TaskFailed as error:
        raise MachineError(f"the shadow did not come about, and what is live goes on\n  {error}") from error
    finally:
        progress.end()


def _watch(context: Context, wanted: Wanted, host: Host, port: int, seconds: float) -> Verdict:
    source, environment = wanted.source, context.environment
    assert source is not None  # noqa: S101 - for the type checker: only going back has no source
    rows = acceptance.golden_rows(source.file(environment.repository, source.pins.bundle))
    context.progress.begin("shadow", f"{seconds:g} s")
    verdict = watch.bake(
        {"shadow": Watched(_reach(environment, host), f"http://127.0.0.1:{port}")},
        {"live": Watched(_reach(environment, host), f"http://{host.address}:{host.port}")},
        settings(rollouts.load(environment).bake or Bake(), seconds),
        rows,
    )
    context.progress.end(verdict.decision)
    return verdict


def _reach(environment: Environment, host: Host) -> list[str]:
    return ["sh", "-c"] if host.connection == "local" else environment.ssh(host)


def settings(bake: Bake, seconds: float) -> Bake:
    """An environment's bake for so many seconds; too few of them tell nothing of memory."""
    told: dict[str, Any] = bake.model_dump()
    told |= {"seconds": seconds, "look_seconds": min(bake.look_seconds, seconds / _LOOKS)}
    if seconds < bake.seconds:
        told["limits"]["memory"] = None
    metrics = 6 if told["limits"]["memory"] is None else 7
    told["alpha"] = bake.alpha * metrics / (metrics + _PAIRED)
    return Bake.model_validate(told)
