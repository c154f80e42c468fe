"""One side of a comparison: what a revision pins, and its bundle where the bytes can be had."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from slipway import params
from slipway.bundle import Bundle
from slipway.contract import Contract
from slipway.errors import InputError, SlipwayError
from slipway.params import Params
from slipway.release import objects, pins
from slipway.release.git import Repository
from slipway.release.pins import Pins
from slipway.scorer import Scorer


class Model(NamedTuple):
    """A model that answers its golden rows as when it was packaged."""

    bundle: Bundle
    scorer: Scorer

    @property
    def contract(self) -> Contract:
        """What it answers."""
        return self.bundle.contract


class Side(NamedTuple):
    """A revision, as far as it can be read."""

    title: str
    """As `v1.1.0 in production`."""
    pins: Pins
    settings: Params | None
    """None where another version of Slipway has written them."""
    model: Model | None
    missing: str
    """Why there is no model; empty where there is one."""

    @property
    def contract(self) -> Contract | None:
        """What its model answers; where there is none, what its parameters say."""
        if self.model:
            return self.model.contract
        return self.settings.contract if self.settings else None

    def has_rows_of(self, other: "Side") -> bool:
        """Whether both have the same data, and split it alike: what one was measured on is what the other was."""
        if self.settings is None or other.settings is None or self.pins.data is None:
            return False
        return self.pins.data == other.pins.data and self.settings.split == other.settings.split

    def without_model(self, why: str) -> "Side":
        """The side, whose bundle is not what its commit makes."""
        return self._replace(model=None, missing=why, pins=self.pins._replace(model=""))

    def is_same(self, other: "Side") -> bool:
        """Whether both pin the same bytes, made by the same parameters."""
        ours, theirs = (side.pins._replace(commit="") for side in (self, other))
        return ours == theirs and self.settings == other.settings


@contextmanager
def opened(repository: Repository, revision: str, title: str, model: str) -> Iterator[Side]:
    """A revision, for as long as its model is needed.

    Raises:
        InputError: There is no such revision, or it is none of Slipway's.
    """
    found = pins.at(repository, revision, model)
    with ExitStack() as stack:
        loaded, missing = None, ""
        try:
            bundle = stack.enter_context(objects.unpacked(objects.obtain(repository.root, found.bundle)))
            loaded = Model(bundle, bundle.scorer())
        except SlipwayError as error:
            missing = str(error.args[0])
        yield Side(title, found, _settings(repository, revision), loaded, missing)


def _settings(repository: Repository, revision: str) -> Params | None:
    try:
        return params.parse(repository.read(revision, "params.yaml") or "", f"{revision}:params.yaml")
    except InputError:
        return None
