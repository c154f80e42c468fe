"""The hosts of a change: which of them are lost by now, and playbooks on the others."""

from collections.abc import Iterable, Mapping, Sequence

from slipway.fleet import playbook
from slipway.fleet.environment import Fleet
from slipway.fleet.session import Session


class Crew:
    """Hosts that may be lost at any moment."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.lost = dict(session.lost)
        """Hosts that cannot be reached, and why: once lost, lost for this change."""

    def reached(self, hosts: Iterable[str]) -> list[str]:
        """The hosts that are not lost, by what is known now."""
        self.lost |= dict.fromkeys(self._session.ended(), "the connection that holds its lock has ended")
        return [host for host in hosts if host not in self.lost]

    def play(
        self, fleet: Fleet, hosts: Sequence[str], variables: Mapping[str, object], what: str = "rollout"
    ) -> playbook.Outcome:
        """Play a playbook on hosts. Those that cannot be reached are lost from now on; failures are of the others."""
        context, names, phase = self._session.context, ", ".join(hosts), "preflight"
        progress = context.progress

        def on_step(step: playbook.Step) -> None:
            nonlocal phase
            phase = step.phase or phase
            progress.begin("rollout", f"{names}  {phase}", f"{names}  {phase}: {step.task}")

        def on_cancel() -> None:
            progress.say("cancelled", "the hosts finish", "so that none is left between two releases")

        limit = hosts if len(hosts) < len(fleet.hosts) else ()
        held = self._session.held
        try:
            done = playbook.run(
                context.environment, what, variables, on_step, held, on_cancel, limit, may_fail=True
            )
        except playbook.TaskFailed as error:
            done = playbook.Outcome(0, {}, {"ansible": error})
        self.lost |= {host: str(failure) for host, failure in done.failures.items() if failure.unreachable}
        result = f"{done.changed} changes" if done.changed else "nothing changed"
        progress.end("failed" if done.failures else result)
        return done._replace(
            failures={host: each for host, each in done.failures.items() if not each.unreachable}
        )

    def reasons(self, failures: Mapping[str, playbook.TaskFailed]) -> list[str]:
        """A line for each host that failed or is lost."""
        lost = [f"{host} is lost: {reason}" for host, reason in self.lost.items()]
        return [*map(str, failures.values()), *lost]
