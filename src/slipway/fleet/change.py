"""One change of an environment to one release: provisioned, rolled out batch by batch, proven, or taken back."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slipway.errors import InputError, MachineError, Refused, RolledBack, SlipwayError
from slipway.fleet import acceptance, baseline, delivery, host, infrastructure, playbook, settings, watch
from slipway.fleet.analysis.lines import lines
from slipway.fleet.analysis.verdict import Decision
from slipway.fleet.batches import Size, batches
from slipway.fleet.crew import Crew
from slipway.fleet.environment import Fleet
from slipway.fleet.session import Session
from slipway.fleet.wanted import Wanted, before_last, installed_everywhere
from slipway.fleet.watch import Watched
from slipway.serving.release import ReleaseRecord


class Outcome(NamedTuple):
    """How a roll-out ended."""

    record: ReleaseRecord
    url: str
    changed: int
    """Tasks that changed something."""
    acceptance: acceptance.Result | None


_ALL: tuple[Size, ...] = ("100%",)
"""What a fleet goes back to has been proven on it, and each host swaps without losing a request: so all at once."""


class UnfinishedError(MachineError):
    """The release is live, but its roll-out did not come to its end."""


class Change:
    """A change under way."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        """Find out whether the change can be made at all.

        Raises:
            MachineError: A host cannot be reached, which must take part in all but going back; or the bytes
                cannot be had.
        """
        self._session = session
        self._context = session.context
        self._wanted = wanted
        self._before = session.reports
        self._crew = Crew(session)
        self._settings = settings.load(session.context.environment)
        if session.lost and wanted.action == "deploy":
            lost = [f"  {name}: {reason}" for name, reason in session.lost.items()]
            raise MachineError(
                "\n".join(["hosts cannot be reached, and nothing was changed:", *lost]),
                next_command=f"slipway status {self._context.environment.name}",
            )
        if session.lost and not session.reports:
            raise MachineError(
                f"none of the hosts can be reached ({', '.join(session.lost)}), and nothing was changed",
                next_command="the same command again, when they can",
            )
        self._refuse_another_model()
        self._variables = delivery.variables(self._context, wanted, self._before)
        self._number = dict[str, object]()

    @property
    def old(self) -> ReleaseRecord | None:
        """What was live on the hosts, or None before the first roll-out.

        Where an earlier change was cut short, they differ: then it is what is not wanted now.
        """
        live = [report.live for report in self._before.values() if report.live]
        others = [record for record in live if record != self._wanted.record]
        return next(iter([*others, *live]), None)

    def make(self, desired: int = 0) -> Outcome:
        """Make the release live on every host, and prove it.

        Args:
            desired: The number of the desired state that this brings, for the hosts to remember; 0 where git has none.

        Raises:
            MachineError: A host refuses, and nothing was changed; or the roll-out did not come to its end.
            RolledBack: It failed, and what was live before is again.
            Refused: It failed its acceptance test, and there was nothing before.
        """
        self._number = {"model_server_desired": desired}
        fleet = infrastructure.provide(self._context, self._wanted.action, self._session.fleet)
        changed = self._provision(fleet) if self._wanted.action == "deploy" else 0
        changed += self._roll_out(fleet)
        result = None
        if self._wanted.source and self._wanted.action == "deploy":
            try:
                result = self._prove(self._wanted, fleet)
            except SlipwayError as error:
                self._context.progress.end("failed")
                raise self._take_back(fleet, error) from error
        if self._crew.lost:
            raise UnfinishedError(
                f"{self._wanted.record.release} is live, but {', '.join(self._crew.lost)} cannot be reached",
                next_command="the same command again, when they can",
            )
        return Outcome(self._wanted.record, fleet.url, changed, result)

    def _refuse_another_model(self) -> None:
        name = self._context.environment.name
        live = {report.live.model for report in self._before.values() if report.live}
        if others := sorted(live - {self._wanted.record.model}):
            raise InputError(
                f"{name} serves {', '.join(others)}, and an environment serves one model only: its callers know one "
                f"contract",
                next_command="make down && rm -r .slipway/local, to give it up"
                if self._context.environment.is_here
                else None,
            )

    def _provision(self, fleet: Fleet) -> int:
        try:
            return baseline.bring(self._session, fleet)
        except playbook.TaskFailed as error:
            self._context.progress.end("failed")
            raise MachineError(
                f"{self._wanted.record.release} was not rolled out: a host does not come to its baseline\n  {error}",
                next_command="mend that, then the same command again",
            ) from error

    def _roll_out(self, fleet: Fleet) -> int:
        """Batch by batch; the tasks that changed something.

        A host that is lost in the middle stops a deploy. Going back goes on with the others.
        """
        touched = list[str]()
        there = [name for name in sorted(fleet.hosts) if name not in self._crew.lost]
        changed = self._install(fleet, there)
        for planned in batches(there, self._sizes):
            if touched:
                self._bake(fleet, touched, [name for name in there if name not in touched])
            failures: dict[str, playbook.TaskFailed] = {}
            reached = self._crew.reached(planned)
            if batch := [] if self._must_stop else reached:
                done = self._crew.play(fleet, batch, self._variables | self._number)
                changed, failures = changed + done.changed, done.failures
            if failures or self._must_stop:
                raise self._stopped(fleet, touched, batch, failures)
            touched += batch
        return changed

    @property
    def _sizes(self) -> Sequence[Size]:
        """Of the batches."""
        return self._settings.batches if self._wanted.action == "deploy" else _ALL

    def _install(self, fleet: Fleet, hosts: Sequence[str]) -> int:
        """Put the release on all hosts that lack it, at once, before the first one changes.

        Raises:
            MachineError: One of them does not take it; what serves has not been touched.
        """
        record = self._wanted.record
        lacking = [
            name
            for name in hosts
            if name not in self._before or record not in self._before[name].installed.values()
        ]
        if self._context.environment.is_here or not lacking:
            return 0
        done = self._crew.play(fleet, lacking, self._variables, "install")
        if done.failures or self._must_stop:
            raise self._untouched(done.failures)
        return done.changed

    @property
    def _must_stop(self) -> bool:
        """Whether a host is lost, and that matters: going back goes on without it."""
        return bool(self._crew.lost) and self._wanted.action == "deploy"

    def _untouched(self, failures: Mapping[str, playbook.TaskFailed]) -> MachineError:
        head = f"{self._wanted.record.release} was not rolled out, and nothing was changed"
        return MachineError(
            "\n  ".join([head, *self._crew.reasons(failures)]),
            next_command="mend that, then the same command again",
        )

    def _stopped(
        self,
        fleet: Fleet,
        touched: Sequence[str],
        batch: Sequence[str],
        failures: Mapping[str, playbook.TaskFailed],
    ) -> SlipwayError:
        """A host has failed or is lost: bring those that changed back, or leave them, by policy; the error to raise."""
        release, name = self._wanted.record.release, self._context.environment.name
        reasons, lost = self._crew.reasons(failures), self._crew.lost
        if not touched and not lost and all(each.phase == "preflight" for each in failures.values()):
            return self._untouched(failures)
        if touched and not failures and self._settings.on_lost_host == "hold":
            return UnfinishedError(
                "\n  ".join([f"{release} is live on {', '.join(touched)}, and goes no further", *reasons]),
                next_command=f"slipway reconcile {name}, when every host can be reached; or slipway rollback {name}",
            )
        # A host that failed has put back what it had; where that did not succeed either, this does it.
        changed = [host for host in [*touched, *batch] if host not in lost]
        if self.old and (touched or set(changed) - set(failures)):
            self._go_back(fleet, changed, self.old)
        error = self._rolled_back(fleet, self.old, SlipwayError("\n  ".join(reasons)))
        if not lost:
            # Whose fault it was, the first host tells: see `blame`.
            error.__cause__ = failures[min(failures)]
        return error

    def _bake(self, fleet: Fleet, new: Sequence[str], old: Sequence[str]) -> None:
        """Compare the hosts that have changed with those that have not, where they serve different releases.

        Raises:
            RolledBack: The analysis does not say that the release may go on; the hosts have gone back.
        """
        bake, source = self._settings.bake, self._wanted.source
        if bake is None or source is None or self._wanted.action != "deploy":
            return
        # A host that was not there when it began serves nothing yet.
        before = [self._before[name].live if name in self._before else None for name in old]
        if {None, self._wanted.record} & set(before):
            return
        self._context.progress.begin("bake", f"{', '.join(new)} beside {', '.join(old)}")
        environment = self._context.environment
        hosts = {
            name: Watched(environment.ssh(host), f"http://{host.address}:{host.port}")
            for name, host in fleet.hosts.items()
        }
        rows = acceptance.golden_rows(source.file(environment.repository, source.pins.bundle))
        verdict = watch.bake(
            {name: hosts[name] for name in new}, {name: hosts[name] for name in old}, bake, rows
        )
        self._context.progress.end(verdict.decision)
        if verdict.decision is not Decision.PROMOTE:
            # Without a proof nobody can say that the release is bad, and it may be tried again.
            kind = Refused if verdict.decision is Decision.ABORT else SlipwayError
            refusal = kind("\n  ".join(["the bake does not let it go on:", *lines(verdict)]))
            if self.old:
                self._go_back(fleet, new, self.old)
            raise self._rolled_back(
                fleet, self.old, refusal, "was live on a part of the fleet, and was taken back"
            ) from refusal

    def _prove(self, wanted: Wanted, fleet: Fleet) -> acceptance.Result:
        context, source = self._context, wanted.source
        assert source is not None  # noqa: S101 - for the type checker: only what has a source is proven
        folder = context.environment.folder / "acceptance"
        if known := acceptance.kept(wanted.record, folder):
            context.progress.say("prove", f"{known.rows} acceptance rows", "proven before")
            return known
        repository = context.environment.repository
        context.progress.begin("prove", "acceptance rows, live")
        result = acceptance.prove(
            fleet.url,
            wanted.record,
            source.file(repository, source.pins.acceptance),
            source.file(repository, source.pins.bundle),
            source.pins.metrics["validation"],
            context.settings.acceptance,
        )
        acceptance.keep(result, folder)
        context.progress.end(result.summary)
        return result

    def _take_back(self, fleet: Fleet, error: SlipwayError) -> SlipwayError:
        """Take back a release that is live but failed its acceptance test; the error to raise."""
        old = self.old
        if old == self._wanted.record:
            # The test was left out once, by a command that was cut short: what served before is in the log.
            old = before_last(self._before, self._wanted.record.model)
        if old is None or old not in installed_everywhere(self._before).values():
            playbook.run(self._context.environment, "stop", {}, lambda _: None, self._session.held)
            return Refused(
                f"{self._wanted.record.release} failed its acceptance test and was stopped: {error}"
            )
        self._go_back(fleet, sorted(fleet.hosts), old)
        return self._rolled_back(fleet, old, error, "was live, but not proven, and was taken back")

    def _go_back(self, fleet: Fleet, hosts: Sequence[str], old: ReleaseRecord) -> None:
        """All hosts at once, but those that are lost: what they go back to has been proven.

        Raises:
            TaskFailed: A host that can be reached does not go back.
        """
        wanted = Wanted(old, None, "abort")
        if not (there := [host for host in hosts if host not in self._crew.lost]):
            return
        done = self._crew.play(
            fleet, there, delivery.variables(self._context, wanted, self._before) | self._number
        )
        if done.failures:
            first, *others = done.failures.values()
            raise first.together_with(others)

    def _rolled_back(
        self, fleet: Fleet, old: ReleaseRecord | None, error: SlipwayError, how: str = "was not rolled out"
    ) -> SlipwayError:
        """The error to raise; what it says of the service has been asked of it."""
        new, name = self._wanted.record, self._context.environment.name
        answers = (host.asked(fleet.url, "/metadata") or {}).get("release")
        if answers == new.release and old != new:
            return UnfinishedError(
                f"{new.release} is live, but its roll-out did not come to its end\n  {error}",
                next_command="the same command again",
            )
        if old is None and answers:
            serving = f"{answers} answers"
        elif old is None:
            serving = "nothing served before, and nothing does"
        elif answers == old.release:
            serving = f"{old.release} is still serving"
        else:
            serving = f"{old.release} was live before, but does not answer on {fleet.url}"
        following = (
            f"slipway reconcile {name}, when every host can be reached"
            if self._crew.lost
            else f"slipway status {name}"
        )
        return RolledBack(f"{new.release} {how}; {serving}\n  {error}", next_command=following)
