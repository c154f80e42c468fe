"""A fleet behind a balancer for all drills, and a table of them at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.lab.drills import site as sites
from tests.lab.drills.drill import Drill
from tests.lab.fleet import own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab
    from tests.lab.drills.site import Site

_ROWS = pytest.StashKey[list[dict[str, str]]]()
_VERDICT = pytest.StashKey[str]()
_COLUMNS = ("drill", "fault", "requests", "failed", "repeated", "slowest", "seconds", "verdict")
_SECONDS = 1800
_DIGITS = {"slowest": 2, "seconds": 1}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=int, default=0, help="so many faults at random")
    parser.addoption("--soak-seed", type=int, help="the seed that a soak has printed")


@pytest.fixture(scope="session")
def range_(able: None) -> Iterator[Lab]:  # noqa: ARG001 - comes first
    """A lab of the drills' own: they leave something on their hosts."""
    with own("d") as lab:
        yield lab


@pytest.fixture(scope="session")
def site(range_: Lab, seed: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return sites.build(tmp_path_factory.mktemp("site") / "slipway", range_, seed, cache)


@pytest.fixture
def drill(site: Site, request: pytest.FixtureRequest) -> Iterator[Drill]:
    """A drill on a fleet that is in order; the next one finds it so."""
    begun = Drill(site)
    yield begun
    for host in site.lab.hosts.values():
        host.thaw()
        host.mend_link()
    site.lab.network.pass_all()
    verdict = request.node.stash.get(_VERDICT, "failed")
    if verdict == "held":
        assert begun.ended, "a drill ends with `ends_on`"
    marker = request.node.get_closest_marker("drill")
    figures = {name: f"{value:.{_DIGITS.get(name, 0)}f}" for name, value in begun.figures.items()}
    row = {"drill": str(marker.args[0]), "fault": marker.args[1], **figures, "verdict": verdict}
    request.config.stash.setdefault(_ROWS, []).append(row)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first drill pays for the site, and on a busy machine everything takes its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":  # type: ignore[attr-defined]
        item.stash[_VERDICT] = "held" if report.passed else "failed"  # type: ignore[attr-defined]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _ROWS not in config.stash:
        return
    rows: list[dict[str, str]] = config.stash[_ROWS]
    rows.sort(key=lambda row: int(row["drill"]))
    table = [dict(zip(_COLUMNS, _COLUMNS, strict=True)), *rows]
    widths = {name: max(len(row[name]) for row in table) for name in _COLUMNS}
    terminalreporter.section("drills")
    for row in table:
        terminalreporter.line("  ".join(row[name].ljust(widths[name]) for name in _COLUMNS).rstrip())
