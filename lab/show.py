"""The story that `make lab` tells: releases come to the machines of a cloud, under load, and a bad one goes back."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from lab import site as sites
from lab.play import REPOSITORY
from lab.shell import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.site import Site

_ROLLOUT = """\
# Short, as nobody waits five minutes for a story; and blind to time, of which one machine for all has little to spare.
bake: {seconds: 10, look_seconds: 1, minimum_requests: 300, limits: {memory: null, p50: 1000, p99: 1000, positives: 0.1, score: 0.2}}
"""
_BAD, _SOUND = 4, 0
_COUNT_SECONDS = 3
_FOLLOW_SECONDS = 5
"""The lab's balancer follows that of the cloud, which it asks once a second."""
_RETURN_SECONDS = 60


class Chapter(NamedTuple):
    """What happened, for the table."""

    title: str
    command: str
    code: int
    expected: int
    seconds: float
    requests: int
    failed: int
    slowest_ms: float
    answers: str
    """The releases that answered, in their order."""
    git: str
    """The desired state that git has afterwards."""

    @property
    def as_it_should_be(self) -> bool:
        return self.code == self.expected and self.failed == 0


def tell(name: str) -> int:
    """Tell it from nothing to the last trace; 0 where everything went as it should."""
    _say(f"production on this machine: AWS at {sites.CONTROLLER.ip}, its front door at https://{sites.DOOR}")
    with sites.opened(name, REPOSITORY, REPOSITORY / ".dvc" / "cache") as site:
        _timed("terraform apply: network, machines, balancer, buckets", site.provision)
        _timed("dvc repro, dvc push: the model, in the bucket", lambda: _pipeline(site))
        chapters = list(_chapters(site))
        _say(site.does("slipway", "status", sites.ENVIRONMENT))
        _say(
            site.does(
                "git",
                "for-each-ref",
                "--format=%(refname:short)  %(subject)",
                "--sort=taggerdate",
                "refs/tags",
            )
        )
    _table(chapters)
    return 0 if all(chapter.as_it_should_be for chapter in chapters) else 1


def _pipeline(site: Site) -> None:
    (site.root / "terraform" / "environments" / sites.ENVIRONMENT / "rollout.yaml").write_text(_ROLLOUT)
    _commit(site, "Bake for seconds")


def _chapters(site: Site) -> Sequence[Chapter]:
    deploy, back = ("slipway", "deploy", sites.ENVIRONMENT), ("slipway", "rollback", sites.ENVIRONMENT)
    told = [_chapter(site, "a first release, on new machines", [*deploy, _release(site)], _SOUND, load=False)]
    _set(site, "C: 1.0", "C: 0.3")
    better = _release(site, "Regularise more")
    told.append(_chapter(site, "a canary, a bake, and the rest", [*deploy, better], _SOUND))
    _set(site, "decision_threshold: ", "decision_threshold: 0.02  # was ")
    bad = _release(site, "Call almost everybody ill")
    site.aws.client("cloudwatch").set_alarm_state(
        AlarmName=f"{sites.ENVIRONMENT}-slow", StateValue="ALARM", StateReason="so that the deploy warns"
    )
    told.append(_chapter(site, "a bad release, caught by the bake", [*deploy, bad], _BAD))
    with site.aws.without(sites.STATES):
        told.append(_chapter(site, "a roll-back, while Terraform's state is out of reach", [*back], _SOUND))
    drain = ("aws", "elbv2", "deregister-targets", "model-2")
    told.append(
        _chapter(site, "a host, drained and put back", drain, _SOUND, lambda: _drain(site, "model-2"))
    )
    return told


def _drain(site: Site, host: str) -> int:
    """Take a host out of its target group, and put it back; 0 where its requests went to the others meanwhile."""
    elb, machine = site.aws.client("elbv2"), site.cloud.machine(host)
    ((group, target),) = [
        (group["TargetGroupArn"], health["Target"])
        for group in elb.describe_target_groups()["TargetGroups"]
        for health in elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        if health["Target"]["Id"] == machine.id
    ]  # fmt: skip
    _say(f"  before   {_requests(site)}")
    elb.deregister_targets(TargetGroupArn=group, Targets=[target])
    time.sleep(_FOLLOW_SECONDS)
    _say(f"  drained  {(drained := _requests(site))}")
    elb.register_targets(TargetGroupArn=group, Targets=[target])
    until = time.monotonic() + _RETURN_SECONDS
    while not (back := _requests(site))[host] and time.monotonic() < until:
        pass
    _say(f"  back     {back}")
    return 0 if not drained.pop(host) and all(drained.values()) and back[host] else 1


def _requests(site: Site) -> dict[str, int]:
    """How many requests each host is given in some seconds."""
    before = site.cloud.given()
    time.sleep(_COUNT_SECONDS)
    return {name: count - before.get(name, 0) for name, count in site.cloud.given().items()}


def _set(site: Site, old: str, new: str) -> None:
    file = site.root / "params.yaml"
    text = file.read_text()
    if old not in text:
        raise LabError(f"params.yaml has no {old!r}")
    file.write_text(text.replace(old, new))


def _commit(site: Site, message: str) -> None:
    site.does("dvc", "repro", "--quiet")
    site.does("dvc", "push", "--quiet")
    site.does("git", "commit", "--all", "--quiet", "--message", message)
    site.does("git", "push", "--quiet")


def _release(site: Site, message: str | None = None) -> str:
    """Release the work tree; the version."""
    if message:
        _timed(f"dvc repro, git push: {message}", lambda: _commit(site, message))
    return site.does("slipway", "release").partition("@")[2].partition(":")[0]


def _chapter(
    site: Site,
    title: str,
    command: Sequence[str],
    expected: int,
    act: Callable[[], int] | None = None,
    *,
    load: bool = True,
) -> Chapter:
    """Run a command, or what stands for it, under load."""
    from tests.local.load import Load  # noqa: PLC0415 - needs what `lab.needs` must do without

    _say(f"\n{title}\n$ {' '.join(command)}")
    asked, failed, releases, slowest = 0, 0, list[str](), 0.0
    with Load(80, _rows(site), str(sites.DOOR)) if load else contextlib.nullcontext() as made:
        began = time.monotonic()
        code = act() if act else _shown(site, command)
        seconds = time.monotonic() - began
    if made:
        asked, failed, releases = len(made.requests), len(made.failed), made.releases
        slowest = max(request.ended - request.started for request in made.requests) * 1000
    git = site.does(
        "git", "for-each-ref", "--count=1", "--sort=-taggerdate", "--format=%(subject)", "refs/tags/*#*"
    )
    return Chapter(
        title, " ".join(command), code, expected, seconds, asked, failed, slowest, " ".join(releases), git.strip()
    )  # fmt: skip


def _shown(site: Site, command: Sequence[str]) -> int:
    """Run a command, and let its words be seen as they come; its exit code."""
    with site.begin(*command) as process:
        assert process.stdout
        for line in process.stdout:
            _say(f"  {line.rstrip()}")
    return process.returncode


def _rows(site: Site) -> list[dict[str, object]]:
    import pandas as pd  # noqa: PLC0415 - as above

    from slipway import params  # noqa: PLC0415
    from slipway.pipeline import stage  # noqa: PLC0415

    frame = pd.read_parquet(site.root / "data" / "validation.parquet")
    return stage.rows(frame, params.load(site.root / "params.yaml").contract)


def _timed(what: str, act: Callable[[], object]) -> None:
    began = time.monotonic()
    act()
    _say(f"{time.monotonic() - began:6.1f} s  {what}")


def _table(chapters: Sequence[Chapter]) -> None:
    heads = (
        "",
        "what happened",
        "exit",
        "seconds",
        "requests",
        "failed",
        "slowest",
        "answered by",
        "git wants",
    )
    rows = [
        (
            "ok" if each.as_it_should_be else "NOT OK", each.title, str(each.code), f"{each.seconds:.1f}",
            str(each.requests), str(each.failed), f"{each.slowest_ms:.0f} ms" if each.requests else "",
            each.answers, each.git,
        )
        for each in chapters
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
