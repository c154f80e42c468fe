"""Release notes for people who use the model: what they must do, how good it is, and how they check what they have."""

from collections.abc import Iterable
from datetime import UTC

from packaging.utils import parse_wheel_filename

from slipway.provenance.source import BUNDLE, Release
from slipway.release.pins import Pins
from slipway.report.build import DECIDING
from slipway.report.comparison import LESS_IS_BETTER, Comparison, compare, trained_on
from slipway.report.markdown import listing, plain, table
from slipway.report.side import Side


def write(found: Release) -> str:
    """The notes as Markdown; they end with a line feed."""
    told = _since(found, found.before) if found.before else _first(found)
    parts = [
        f"# {found.name.model} {found.name.label}",
        plain(found.settings.model.description),
        f"Tag `{found.name.tag}` of {found.tag.at.astimezone(UTC):%Y-%m-%d}, on commit `{found.pins.commit}`. "
        + (f"The release before is {found.before.title}." if found.before else "It is the first release."),
        *told,
        "## Check what you have downloaded",
        _check(found),
    ]
    return "\n\n".join(parts) + "\n"


def _first(found: Release) -> Iterable[str]:
    contract = found.bundle.contract
    yield "## What you must do"
    yield "Nothing that you did before has changed. `model-card.md` says what to send, within which limits."
    yield "## How good it is"
    rows = [
        (_metric(name), f"{value:.4f}")
        for name, value in found.pins.metrics.get("validation", {}).items()
        if name in DECIDING
    ]
    yield table(("on validation", found.name.label), rows)
    yield "## What it is made of"
    yield listing(
        [
            f"data: sha256 {found.pins.data}, of which {trained_on(found.bundle)} rows have trained it",
            f"contract: {len(contract.columns)} columns; it answers {contract.target.positive} or {contract.target.negative}",
            f"runtime: {len(found.pins.wheels)} packages, which sbom.cdx.json lists",
        ]
    )


def _since(found: Release, before: Side) -> Iterable[str]:
    # Nobody is asked anew: git promises no sha256 of the rows that metrics are measured on.
    comparison = compare(before, found.side, None)
    yield "## What you must do"
    yield from _duty(comparison)
    yield "## How good it is"
    yield from _metrics(found, before, comparison)
    yield "## Data"
    yield _data(found, before, comparison)
    yield "## Contract"
    yield _contract(found, comparison)
    yield "## Runtime"
    yield from _runtime(before, found.pins)
    if comparison.parameters:
        yield "## Made otherwise"
        yield listing(comparison.parameters)


def _duty(found: Comparison) -> Iterable[str]:
    old = plain(found.old)
    if found.interface is None:
        yield f"Compare `model-card.md` with that of {old}: what has changed for callers cannot be told."
    elif breaking := [change.what for change in found.interface if change.breaks]:
        yield f"**Change what you send or how you read the answers before you call it**, since {old}:"
        yield listing(breaking)
    elif found.same_model:
        yield f"Nothing. It is the model of {old}, byte for byte, and answers the same."
    else:
        decided = f"Of the {found.golden_rows} golden rows in {old}'s bundle, {len(found.golden)} are decided otherwise now."
        yield f"Nothing: what {old} accepts is accepted, and the answers have the same form. {decided}"


def _metrics(found: Release, before: Side, comparison: Comparison) -> Iterable[str]:
    rows = [
        (_metric(each.name), f"{each.old:.4f}", f"{each.new:.4f}", f"{each.new - each.old:+.4f}")
        for each in comparison.metrics
        if each.name in DECIDING
    ]
    yield table(("on validation", before.title, found.name.label, "difference"), rows)
    if comparison.same_model:
        yield "The model is the same."
    elif before.has_rows_of(found.side):
        yield "Both were measured on the same rows. A small difference may be chance."
    else:
        yield "Each was measured on rows of its own: a difference may come from the rows, and not from the model."


def _metric(name: str) -> str:
    return f"{name.replace('_', ' ')}{' (less is better)' if name in LESS_IS_BETTER else ''}"


def _data(found: Release, before: Side, comparison: Comparison) -> str:
    lines = [f"sha256 {found.pins.data}"]
    lines.append(
        f"the same as {before.title}'s"
        if before.pins.data == found.pins.data
        else f"changed: {before.title}'s was {before.pins.data or 'not written down'}"
    )
    then = f", before {comparison.rows[0]}" if comparison.rows else ""
    lines.append(f"{trained_on(found.bundle)} rows of it have trained the model{then}")
    return listing(lines)


def _contract(found: Release, comparison: Comparison) -> str:
    if comparison.interface is None:
        return "What has changed cannot be told."
    if not comparison.interface:
        return f"The same: {len(found.bundle.contract.columns)} columns."
    return listing(
        [f"{'breaks callers: ' if each.breaks else ''}{each.what}" for each in comparison.interface]
    )


def _runtime(before: Side, now: Pins) -> Iterable[str]:
    if before.pins.runtime.sha256 == now.runtime.sha256:
        yield "The same."
        return
    if not before.pins.wheels:
        yield f"Another one; what {plain(before.title)} installed is not written down."
        return
    old, new = _packages(before.pins), _packages(now)
    changes = [
        *(f"{name} {new[name]}, was {old[name]}" for name in new if old.get(name, new[name]) != new[name]),
        *(f"{name} {new[name]} is new" for name in new if name not in old),
        *(f"{name} is gone" for name in old if name not in new),
    ]
    yield "Another one:" if changes else "Another one; every package has the version that it had."
    if changes:
        yield listing(changes)


def _packages(pins: Pins) -> dict[str, str]:
    """Versions by package."""
    return {
        str(name): str(version) for name, version, *_ in (parse_wheel_filename(each) for each in pins.wheels)
    }


def _check(found: Release) -> str:
    return f"""```bash
echo "{found.pins.bundle.sha256}  {BUNDLE}" | sha256sum --check
mkdir bundle && tar --extract --file {BUNDLE} --directory bundle
```

Where `model.sig` is among the files, the model is signed, too. `signer.pub.pem` proves nothing by itself: compare it with
the key by which you know its makers. Then, after `pip install model-signing pyopenssl`:

```bash
model_signing verify key bundle --signature model.sig --public_key signer.pub.pem --no-ignore-git-paths
```"""
