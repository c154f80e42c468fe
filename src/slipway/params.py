"""`params.yaml` as typed, frozen values; a mistake is reported by its path and what was expected."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from slipway.contract import TOLERANCE_MAXIMUM, Contract
from slipway.errors import InputError


class Section(BaseModel):
    """One section of `params.yaml`: frozen, strict, and without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Model(Section):
    # The grammar of GTO's tags and of DVC's artifacts, less the slash.
    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)
    description: str
    license: str
    language: str = "en"


class Split(Section):
    """Fractions of the rows; training gets the rest."""

    validation: float = Field(gt=0, lt=1)
    acceptance: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> Self:
        if self.validation + self.acceptance >= 1:
            raise ValueError("`validation` and `acceptance` together leave nothing to train on")
        return self


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str | None):
        raise ValueError(f"expected a number, a string, true, false or nothing, got {_shown(value)}")  # noqa: TRY004
    return value


class Train(Section):
    estimator: Literal["logistic_regression", "random_forest", "hist_gradient_boosting"]
    # Passed to scikit-learn, which checks them; `train` reports what it refuses.
    hyperparameters: dict[str, Annotated[Any, AfterValidator(_scalar)]] = {}
    decision_threshold: float = Field(gt=0, lt=1)
    parity_tolerance: float = Field(gt=0, le=TOLERANCE_MAXIMUM)
    seed: int = Field(ge=0, lt=2**32)


class Gates(Section):
    """Limits on validation metrics; `baseline` is a classifier that always predicts the class frequencies."""

    recall_minimum: float = Field(ge=0, le=1)
    false_negative_rate_maximum: float = Field(ge=0, le=1)
    roc_auc_over_baseline_minimum: float = Field(ge=0, le=1)
    overfit_gap_maximum: float = Field(ge=0, le=1)


class Evaluate(Section):
    gates: Gates


class Package(Section):
    golden_rows: int = Field(ge=2, le=1000)
    golden_tolerance: float = Field(gt=0, le=TOLERANCE_MAXIMUM)


class Runtime(Section):
    """Platform tags (PEP 600) of the hosts that the runtime's wheels must fit."""

    platforms: tuple[str, ...] = Field(min_length=1, strict=False)


class Acceptance(Section):
    """By how much the live metrics may fall short of validation's."""

    recall_drop_maximum: float = Field(ge=0, le=1)
    roc_auc_drop_maximum: float = Field(ge=0, le=1)


class Params(Section):
    model: Model
    contract: Contract
    split: Split
    train: Train
    evaluate: Evaluate
    package: Package
    runtime: Runtime
    acceptance: Acceptance


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check `params.yaml`.

    Raises:
        InputError: It is absent, is not YAML, or has an unknown, missing or mistyped key.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InputError(f"{path} is missing", next_command=f"git checkout -- {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def parse(text: str, where: str = "params.yaml") -> Params:
    """Check the text of a `params.yaml`; `where` names it in errors."""
    return parsed(Params, text, where)


_Kind = TypeVar("_Kind", bound=Section)


def parsed(kind: type[_Kind], text: str, where: str) -> _Kind:
    """Check the text of a YAML file that holds one section.

    Raises:
        InputError: It is not YAML, or has an unknown, missing or mistyped key.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise InputError(f"{where} is not YAML: {_where_and_why(error)}") from error
    if not isinstance(raw, Mapping):
        raise InputError(f"{where} must be a mapping of sections, got {_shown(raw)}")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        problems = [_problem(kind, dict(found)) for found in error.errors()]
        raise InputError(
            "\n".join([f"{where} is not valid:", *(f"  {line}" for line in problems)])
        ) from error


def _where_and_why(error: YAMLError) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


_EXPECTED = MappingProxyType(
    {
        "int_type": "an integer",
        "int_from_float": "an integer",
        "float_type": "a number",
        "finite_number": "a finite number",
        "string_type": "a string",
        "bool_type": "true or false",
        "model_type": "a mapping",
        "model_attributes_type": "a mapping",
        "dict_type": "a mapping",
        "tuple_type": "a list",
        "invalid_key": "a string as the key",
    }
)


def _problem(kind: type[Section], found: dict[str, Any]) -> str:
    location = tuple(found["loc"])
    path = ".".join(str(part) for part in location if part != "[key]")
    match found["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_did_you_mean(kind, location)}"
        case "missing":
            return f"{path}: required, but missing"
        case "string_pattern_mismatch":
            return f"{path}: expected a string like {found['ctx']['pattern']}, got {_shown(found['input'])}"
        case "value_error":
            return f"{path}: {found['ctx']['error']}"
        case known if known in _EXPECTED:
            return f"{path}: expected {_EXPECTED[known]}, got {_shown(found['input'])}"
        case _:
            expected = re.sub(r"^\w+ should (be |have )?", "", found["msg"])
            return f"{path}: expected {expected}, got {_shown(found['input'])}"


def _did_you_mean(kind: type[Section], location: tuple[Any, ...]) -> str:
    section: Any = kind
    for part in location[:-1]:
        fields = getattr(section, "model_fields", None)
        # A mapping, such as `contract.columns`, has values of one type.
        section = fields[part].annotation if fields else get_args(section)[-1]
        if type(None) in get_args(section):
            section = get_args(section)[0]  # what may be left out
    names = list(getattr(section, "model_fields", {}))
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else "nothing" if value is None else repr(value)
