"""Stage `split`: training, validation, and the acceptance rows that nothing reads before the roll-out."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import pandas as pd
from sklearn.model_selection import train_test_split

from slipway import params
from slipway.contract import Contract
from slipway.errors import InputError, Refused
from slipway.params import Split
from slipway.pipeline import stage


class Parts(NamedTuple):
    train: pd.DataFrame
    validation: pd.DataFrame
    acceptance: pd.DataFrame


def split(frame: pd.DataFrame, contract: Contract, settings: Split) -> Parts:
    """Divide rows at random, the labels in the same proportion in every part.

    Raises:
        InputError: A label has too few rows to be in every part.
        Refused: The same inputs are in two parts.
    """
    labels = frame[contract.target.column]
    _refuse_rare_labels(labels, contract, settings)
    rest, acceptance = train_test_split(
        frame, test_size=settings.acceptance, stratify=labels, random_state=settings.seed
    )
    train, validation = train_test_split(
        rest,
        test_size=settings.validation / (1 - settings.acceptance),
        stratify=rest[contract.target.column],
        random_state=settings.seed,
    )
    parts = Parts(*(part.sort_index() for part in (train, validation, acceptance)))
    refuse_leaks(parts, contract)
    return parts


def refuse_leaks(parts: Parts, contract: Contract) -> None:
    """Raise Refused where two parts hold a row with the same inputs."""
    digests = {
        name: set(pd.util.hash_pandas_object(part[list(contract.columns)], index=False))
        for name, part in parts._asdict().items()
    }
    for one, other in combinations(digests, 2):
        if shared := digests[one] & digests[other]:
            raise Refused(f"{len(shared)} rows of {one} are also in {other}: the metrics would be flattered")


def _refuse_rare_labels(labels: pd.Series, contract: Contract, settings: Split) -> None:
    smallest_part = min(
        settings.validation, settings.acceptance, 1 - settings.validation - settings.acceptance
    )
    needed = math.ceil(1 / smallest_part)
    for label in (contract.target.positive, contract.target.negative):
        if (found := int((labels == label).sum())) < needed:
            raise InputError(
                f"{contract.target.column}: {found} of {len(labels)} rows are {label!r}; a part of "
                f"{smallest_part:.0%} needs at least {needed} of each label"
            )


def main(argv: Sequence[str]) -> None:
    """Arguments: DATA TRAIN VALIDATION ACCEPTANCE."""
    files = stage.paths(argv, "data", *Parts._fields)
    settings = params.load()
    parts = split(pd.read_parquet(files.data), settings.contract, settings.split)
    for name, part in parts._asdict().items():
        stage.write_frame(getattr(files, name), part)


if __name__ == "__main__":
    stage.run(main)
