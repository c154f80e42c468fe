"""The live acceptance test: rows that nothing has read before go through the endpoint, after a roll-out."""

import json
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from slipway.errors import Refused
from slipway.fleet import door
from slipway.params import Acceptance
from slipway.release import objects
from slipway.scorer import Prediction
from slipway.serving.release import ReleaseRecord

_SECONDS = 30.0


class Result(NamedTuple):
    """What the acceptance test found; kept beside the release log."""

    release: str
    bundle: str
    rows: int
    live: dict[str, float]
    """Metrics of the live answers."""
    validation: dict[str, float]
    """The same metrics when the model was trained."""

    @property
    def summary(self) -> str:
        live, validation = self.live, self.validation
        return (
            f"{self.rows} rows equal offline; recall {live['recall']:.3f} (validation {validation['recall']:.3f}), "
            f"ROC AUC {live['roc_auc']:.3f} ({validation['roc_auc']:.3f})"
        )


def golden_rows(bundle_file: Path) -> list[dict[str, Any]]:
    """The golden rows of a bundle."""
    with objects.unpacked(bundle_file) as bundle:
        return bundle.golden.rows


def prove(
    url: str,
    record: ReleaseRecord,
    rows_file: Path,
    bundle_file: Path,
    validation: dict[str, float],
    limits: Acceptance,
) -> Result:
    """Send the acceptance rows, one a request and then all in one, and compare.

    Args:
        url: Of the front door.
        record: The release that must answer.
        rows_file: Parquet with the contract's columns and the target.
        bundle_file: The release's bundle, for the offline predictions.
        validation: Its metrics on the validation rows.
        limits: By how much the live metrics may fall short.

    Raises:
        Refused: Another release answers, an answer is not the offline prediction, or the metrics fall short.
    """
    import numpy as np  # noqa: PLC0415 - likewise
    import pandas as pd  # noqa: PLC0415 - takes a second to import, and most commands need none

    from slipway.pipeline import evaluate, stage  # noqa: PLC0415 - likewise

    frame = pd.read_parquet(rows_file)
    with objects.unpacked(bundle_file) as bundle:
        scorer = bundle.scorer()
    rows = stage.rows(frame, bundle.contract)
    with door.client(url, _SECONDS) as client:
        alone = [_ask(client, [row], record)[0] for row in rows]
        together = _ask(client, rows, record)
    _compare(alone, [scorer.predict([row])[0] for row in rows], "one a request")
    _compare(together, scorer.predict(rows), "all in one request")
    truth = stage.is_positive(frame, bundle.contract).to_numpy()
    probability = np.array([answer.probability for answer in alone], np.float64)
    live = evaluate.measure(truth, probability, scorer.threshold)
    _refuse_drop(live, validation, limits)
    return Result(record.release, record.bundle, len(rows), live, validation)


def keep(result: Result, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.release}.json").write_text(json.dumps(result._asdict(), indent=2) + "\n")


def kept(record: ReleaseRecord, folder: Path) -> Result | None:
    """The result of an earlier test of the same bundle under the same name."""
    try:
        result = Result(**json.loads((folder / f"{record.release}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return result if result.bundle == record.bundle else None


def _ask(client: httpx.Client, rows: list[dict[str, Any]], record: ReleaseRecord) -> list[Prediction]:
    try:
        name = {"X-Request-Id": f"slipway-acceptance-{uuid.uuid4().hex}"}
        answer = client.post("/predict", json=rows if len(rows) > 1 else rows[0], headers=name)
        answer.raise_for_status()
        found = answer.json()
        release, predictions = found["release"], [Prediction(**each) for each in found["predictions"]]
    except httpx.HTTPError as error:
        raise Refused(f"the live endpoint does not answer an acceptance row: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"what answers at the front door is no release of Slipway's: {error!r}") from error
    if release != record.release:
        raise Refused(f"{release} answers at the front door, expected {record.release}")
    if len(predictions) != len(rows):
        raise Refused(f"the live endpoint gives {len(predictions)} answers to {len(rows)} acceptance rows")
    return predictions


def _compare(live: list[Prediction], offline: list[Prediction], how: str) -> None:
    different = [number for number, pair in enumerate(zip(live, offline, strict=True)) if pair[0] != pair[1]]
    if different:
        first = different[0]
        raise Refused(
            f"{len(different)} of {len(offline)} live answers ({how}) are not the offline prediction; "
            f"acceptance row {first}: live {live[first]}, offline {offline[first]}"
        )


def _refuse_drop(live: dict[str, float], validation: dict[str, float], limits: Acceptance) -> None:
    for metric, limit in (("recall", limits.recall_drop_maximum), ("roc_auc", limits.roc_auc_drop_maximum)):
        # Written so that NaN is refused.
        if not validation[metric] - live[metric] <= limit:
            raise Refused(
                f"live {metric} is {live[metric]:.4f}, validation's {validation[metric]:.4f}: a drop of more than "
                f"{limit:g} (acceptance.{metric}_drop_maximum)"
            )
