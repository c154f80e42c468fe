"""What every stage's `main` shares: its arguments are paths from `dvc.yaml`, its errors are one line."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from slipway.contract import Contract
from slipway.errors import SlipwayError


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Run a stage as a program: exit with the error's own code, its message on standard error."""
    try:
        main(sys.argv[1:])
    except SlipwayError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def paths(argv: Sequence[str], *names: str) -> Namespace:
    """Parse positional arguments, each a path, in the order of `names`."""
    parser = ArgumentParser()
    for name in names:
        parser.add_argument(name, type=Path)
    return parser.parse_args(argv)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False, compression="zstd")


def features(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The inputs in the order of the model's tensors: numbers, then categories, with null filled as served."""
    ordered = frame[[*contract.numbers, *contract.categories]].astype(dict.fromkeys(contract.numbers, float))
    tensors = contract.tensors(rows(frame, contract))
    for position, name in enumerate(contract.categories):
        ordered[name] = pd.Series(tensors["categorical"][:, position], index=ordered.index, dtype=object)
    return ordered


def rows(frame: pd.DataFrame, contract: Contract) -> list[dict[str, Any]]:
    """The inputs as a caller would send them: one mapping a row, null as None."""
    selected = frame[list(contract.columns)].astype(object)
    return [
        {str(name): value for name, value in row.items()}
        for row in selected.where(selected.notna(), None).to_dict("records")
    ]


def is_positive(frame: pd.DataFrame, contract: Contract) -> pd.Series:
    """A boolean per row: does the target hold the positive label?"""
    return frame[contract.target.column] == contract.target.positive
