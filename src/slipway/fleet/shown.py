"""What `status` and `history --at` say, for people: a name and a value for each line."""

from collections.abc import Mapping

from slipway.fleet.past import Moment
from slipway.fleet.report import HostStatus, Status


def rows(found: Status) -> dict[str, str]:
    """The lines of a status, in their order."""
    answers, desired = found.answers, found.desired
    return {
        "desired": f"{desired} ({found.desired_tag})" if desired else "not declared in git",
        **_hosts(found.hosts),
        "answers": f"{answers.release}, bundle {answers.bundle[:12]}" if answers else "nothing",
        "url": found.url or "",
        **(
            {"cloud": ", ".join(f"{name} {said}" for name, said in found.cloud.items())}
            if found.cloud
            else {}
        ),
        **({"quarantine": "; ".join(found.quarantine)} if found.quarantine else {}),
        "verdict": "; ".join(found.problems)
        or _in_order(desired, found.live.release if found.live else None),
        **_next(found),
    }


def moment(found: Moment) -> dict[str, str]:
    """The lines of what was live at a moment."""
    record = found.record
    return {
        "release": record.release,
        "since": f"{found.since}, {found.action} by {found.by}",
        "until": found.until or "now",
        "why": found.why,
        "commit": record.commit,
        "data": found.data or "git does not know",
        "bundle": record.bundle,
        "runtime": record.runtime,
    }


def first_deploy(environment: str) -> str:
    """The command that makes something live where nothing has been yet."""
    return f"slipway deploy {environment}{'' if environment == 'local' else ' RELEASE'}"


def _hosts(hosts: Mapping[str, HostStatus]) -> dict[str, str]:
    """The accounts of the hosts; a host alone needs no name."""
    rows: dict[str, str] = {}
    for name, host in hosts.items():
        live = f"{host.live.release} ({host.slot})" if host.live else "nothing"
        installed = ", ".join(host.installed) or "nothing"
        if len(hosts) == 1:
            rows |= {"live": live, "installed": installed}
        else:
            answers = (
                f"{host.answers.release}, bundle {host.answers.bundle[:12]}" if host.answers else "nothing"
            )
            rows[name] = f"live {live}; answers {answers}; installed {installed}"
    return rows


def _next(found: Status) -> dict[str, str]:
    """What to do about the hosts' problems, where there are any."""
    if not any(host.slot for host in found.hosts.values()):
        return {} if found.lost else {"next": first_deploy(found.environment)}
    if any(host.problems for host in found.hosts.values()):
        return {"next": f"slipway status {found.environment} --heal"}
    return {}


def _in_order(desired: str | None, live: str | None) -> str:
    if desired in {None, live}:
        return "in order"
    return f"in order; a candidate stands in for {desired}, which 'slipway reconcile' brings back"
