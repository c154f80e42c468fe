"""Stage `ingest`: brings the data in, as Parquet that satisfies the contract, with counts and a digest."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors
from sklearn.datasets import load_breast_cancer

from slipway import params
from slipway.bundle import sha256
from slipway.contract import Column, Contract
from slipway.errors import InputError
from slipway.pipeline import stage


def ingest(raw: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Check raw rows against the contract.

    Args:
        raw: One row a case; the contract's columns and the target, in any order, and nothing else.

    Returns:
        The same rows, target last, numbers as float64.

    Raises:
        InputError: A column is missing, extra, of another type or out of its limits; the target holds
            another label; rows are repeated.
    """
    checked = _validate(raw.reset_index(drop=True), contract)
    inputs = list(contract.columns)
    repeated = checked.duplicated(subset=inputs, keep=False)
    if repeated.any():
        numbers = checked.index[repeated].tolist()
        raise InputError(
            f"{_rows(numbers)} repeat the inputs of another: a repeated row can end up both in training and in "
            "the acceptance test; remove the copies at the source"
        )
    return checked[[*inputs, contract.target.column]]


def load(source: str) -> pd.DataFrame:
    """Read a source: `sklearn:breast_cancer`, or the path of a `.csv` or `.parquet` file.

    Raises:
        InputError: There is no such source, or it cannot be read.
    """
    kind, _, name = source.rpartition(":")
    if kind == "sklearn" and name in _BUILT_IN:
        return _BUILT_IN[name]()
    path = Path(source)
    if kind == "sklearn" or path.suffix not in _READERS:
        known = ", ".join(f"sklearn:{built_in}" for built_in in _BUILT_IN)
        raise InputError(f"unknown data source {source!r}: expected {known}, or a .csv or .parquet file")
    if not path.is_file():
        raise InputError(f"the data source {source} does not exist", next_command=f"dvc pull {source}")
    try:
        return _READERS[path.suffix](path)
    except (ValueError, OSError) as error:
        raise InputError(f"the data source {source} cannot be read: {error}") from error


def _breast_cancer() -> pd.DataFrame:
    """569 patients: Wolberg, Street & Mangasarian, Breast Cancer Wisconsin (Diagnostic), UCI, 1995."""
    data = load_breast_cancer(as_frame=True)
    frame: pd.DataFrame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    # scikit-learn codes malignant as 0; here the condition that is looked for is the positive label.
    return frame.assign(diagnosis=data.target.map(dict(enumerate(data.target_names))).astype(str))


_BUILT_IN: Mapping[str, Callable[[], pd.DataFrame]] = MappingProxyType({"breast_cancer": _breast_cancer})
_READERS: Mapping[str, Callable[[Path], pd.DataFrame]] = MappingProxyType(
    {".csv": pd.read_csv, ".parquet": pd.read_parquet}
)


def _validate(raw: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    target = contract.target
    schema = pa.DataFrameSchema(
        {
            **{name: _schema(column, raw.get(name)) for name, column in contract.columns.items()},
            target.column: pa.Column(checks=_one_of(target.positive, target.negative)),
        },
        strict=True,
    )
    try:
        schema.validate(raw, lazy=True)
    except SchemaErrors as error:
        lines = [f"  {line}" for line in _problems(error.failure_cases, raw)]
        raise InputError("\n".join(["the data does not satisfy the contract:", *lines])) from error
    return raw.astype(dict.fromkeys(contract.numbers, float))


def _schema(column: Column, values: pd.Series | None) -> pa.Column:
    if column.type == "category":
        return pa.Column(checks=_one_of(*column.categories), nullable=column.nullable)
    if values is not None and values.dtype.kind not in "iuf":
        # The limits have no meaning for a text or a date.
        return pa.Column(checks=pa.Check(lambda _: False, error="a number"), nullable=True)
    limits = [pa.Check(lambda numbers: numbers.abs() != float("inf"), error="a finite number")]
    if column.minimum is not None:
        limits.append(pa.Check.ge(column.minimum, error=f"at least {column.minimum:g}"))
    if column.maximum is not None:
        limits.append(pa.Check.le(column.maximum, error=f"at most {column.maximum:g}"))
    return pa.Column(checks=limits, nullable=column.nullable)


def _one_of(*values: str) -> pa.Check:
    return pa.Check.isin(values, error=f"one of {', '.join(map(repr, values))}")


def _problems(cases: pd.DataFrame, raw: pd.DataFrame) -> list[str]:
    """One line per column and rule, however many rows break it."""
    lines: list[str] = []
    for (column, check), group in cases.groupby(["column", "check"], dropna=False, sort=False):
        examples, rows = group["failure_case"].tolist(), group["index"].dropna().astype(int).tolist()
        match check:
            case "column_in_dataframe":
                lines.extend(f"{name}: missing" for name in examples)
            case "column_in_schema":
                lines.extend(f"{name}: not in the contract" for name in examples)
            case "not_nullable":
                lines.append(f"{column}: null in {_rows(rows)}")
            case "a number":
                lines.append(f"{column}: expected a number, got {raw[column].dtype}")
            case _:
                lines.append(f"{column}: expected {check}, got {examples[0]!r} in {_rows(rows)}")
    return lines


def _rows(positions: Sequence[int]) -> str:
    """How many rows, and which: counted from 1, without a file's head."""
    shown = ", ".join(str(position + 1) for position in positions[:5])
    more = ", ..." if len(positions) > len(positions[:5]) else ""
    return f"{len(positions)} row{'s' if len(positions) > 1 else ''} ({shown}{more})"


def main(argv: Sequence[str]) -> None:
    """Arguments: SOURCE DATA REPORT."""
    source, *rest = argv
    to = stage.paths(rest, "data", "report")
    contract = params.load().contract
    frame = ingest(load(source), contract)
    stage.write_frame(to.data, frame)
    counts: dict[str, Any] = {
        "rows": len(frame),
        contract.target.positive: int(stage.is_positive(frame, contract).sum()),
        contract.target.negative: int((~stage.is_positive(frame, contract)).sum()),
        "sha256": sha256(to.data),
    }
    stage.write_json(to.report, counts)


if __name__ == "__main__":
    stage.run(main)
