"""The contract: the model's input columns and its output, shared by pipeline, serving and monitoring.

It is written in `params.yaml`, checked by `ingest`, carried in the bundle as `contract.json`, and turned into
the typed request of `POST /predict`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model, model_validator

MISSING_CATEGORY = "__missing__"
"""What a null category becomes, in training and in serving alike."""
TOLERANCE_MAXIMUM = 1e-3
"""How far a probability may ever be from itself, as on another processor: more would let another model pass for the same."""


class Part(BaseModel):
    """A frozen piece of the contract that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Column(Part):
    """One input column. Numbers have an inclusive range, categories a closed list of values."""

    type: Literal["number", "category"]
    minimum: float | None = Field(default=None, allow_inf_nan=False)
    maximum: float | None = Field(default=None, allow_inf_nan=False)
    categories: tuple[str, ...] = Field(default=(), strict=False)
    nullable: bool = False
    description: str = ""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if self.type == "category":
            if not self.categories:
                raise ValueError("a category column needs `categories`")
            if MISSING_CATEGORY in self.categories or len(set(self.categories)) != len(self.categories):
                raise ValueError(
                    f"`categories` must be distinct and not {MISSING_CATEGORY!r}; use `nullable`"
                )
            if self.minimum is not None or self.maximum is not None:
                raise ValueError("a category column has no `minimum` or `maximum`")
        elif self.categories:
            raise ValueError("a number column has no `categories`")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"`minimum` {self.minimum:g} is not below `maximum` {self.maximum:g}")
        return self

    @property
    def model_categories(self) -> tuple[str, ...]:
        """The values that the model can meet: the declared ones, and the one that stands for null."""
        return (*self.categories, MISSING_CATEGORY) if self.nullable else self.categories


class Target(Part):
    """What is predicted: one of two labels, `positive` being the one that the metrics are about."""

    column: str
    positive: str
    negative: str

    @model_validator(mode="after")
    def _two_labels(self) -> Self:
        if self.positive == self.negative:
            raise ValueError("`positive` and `negative` must differ")
        return self


class Contract(Part):
    """Input columns in order, and the target."""

    target: Target
    columns: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")], Column] = Field(
        min_length=1
    )

    @model_validator(mode="after")
    def _target_is_no_input(self) -> Self:
        if self.target.column in self.columns:
            raise ValueError(f"the target {self.target.column!r} must not be among the columns")
        return self

    @model_validator(mode="after")
    def _names_fit_a_typed_row(self) -> Self:
        if kept := [name for name in self.columns if hasattr(BaseModel, name)]:
            raise ValueError(f"columns must not be named {kept}: the typed request keeps these names")
        return self

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Names of the columns of the numeric tensor, in its order."""
        return tuple(name for name, column in self.columns.items() if column.type == "number")

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Names of the columns of the string tensor, in its order."""
        return tuple(name for name, column in self.columns.items() if column.type == "category")

    def to_json(self) -> str:
        return json.dumps(self.model_dump(exclude_defaults=True), indent=2) + "\n"

    @property
    def digest(self) -> str:
        """Sha256 of what a caller can notice: descriptions do not count."""
        noticeable = self.model_dump(exclude={"columns": {"__all__": {"description"}}})
        return hashlib.sha256(json.dumps(noticeable).encode()).hexdigest()

    def row_model(self) -> type[BaseModel]:
        """A pydantic model of one row: strict, finite, in range, no key missing and none extra."""
        fields: dict[str, Any] = {name: _field(column) for name, column in self.columns.items()}
        return create_model(
            "Row", __config__=ConfigDict(extra="forbid", strict=True, protected_namespaces=()), **fields
        )

    def tensors(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
        """The model's inputs for rows that satisfy the contract.

        Args:
            rows: N mappings from column name to value; a null is None.

        Returns:
            `numeric`, float64 of shape (N, number columns), null as NaN; `categorical`, str of shape
            (N, category columns), null as `MISSING_CATEGORY`. A tensor without columns is left out.
        """
        feeds: dict[str, npt.NDArray[Any]] = {}
        if self.numbers:
            # numpy turns None into NaN for a float dtype.
            numbers = np.array([[row[name] for name in self.numbers] for row in rows], np.float64)
            feeds["numeric"] = numbers.reshape(len(rows), len(self.numbers))
        if self.categories:
            strings = [
                [MISSING_CATEGORY if row[name] is None else row[name] for name in self.categories]
                for row in rows
            ]
            feeds["categorical"] = np.array(strings, object).reshape(len(rows), len(self.categories))
        return feeds


def _field(column: Column) -> tuple[Any, Any]:
    kind: Any
    if column.type == "number":
        kind = Annotated[float, Field(ge=column.minimum, le=column.maximum, allow_inf_nan=False)]
    else:
        kind = Literal[column.categories]
    if column.nullable:
        kind = kind | None
    return kind, Field(description=column.description or None)
