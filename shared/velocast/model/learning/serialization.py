"""Serialized models: a skops file, which loads without executing code, with a card that is read first."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from datetime import datetime
from importlib.metadata import version
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from velocast.core.errors import ModelUnusable
from velocast.model.features import definition
from velocast.model.intervals.conformal import Calibration

CARD = "velocast.json"
SCHEMA = "schema.json"
LIBRARY = "scikit-learn"
# Types that each kind needs beyond those that skops trusts by default; none of them can execute code.
_TREES = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
TRUSTED: dict[str, frozenset[str]] = {
    "affluence": frozenset({_TREES}),
    "blend": frozenset({_TREES}),
    "gbm": frozenset({_TREES}),
    "rf": frozenset({_TREES, "sklearn.tree._tree.Tree"}),
    "nn": frozenset({_TREES, "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"}),
}
# raised by zipfile, json and skops for a file that is truncated, altered or no model
_BROKEN = (
    AttributeError,
    EOFError,
    ImportError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class ModelCard(BaseModel):
    """The metadata of a stored model, which can be read before the model is loaded."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    kind: str
    task: str
    feature_definition: str
    seed: int
    params: dict[str, Any]
    library_versions: dict[str, str]


class ForecasterCard(ModelCard):
    """Card of a model that forecasts counts; its fields are those of `TrainedModel`."""

    calibration: Calibration
    similar_days: Calibration
    learned_until: datetime


CardT = TypeVar("CardT", bound=ModelCard)


def pack(estimator: Any, card: ModelCard) -> bytes:
    """Return the estimator and its card as one zip file; equal models give equal bytes."""
    import skops.io

    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator)))
    schema, names = _renumbered(json.loads(source.read(SCHEMA)))
    members = {names[name]: source.read(name) for name in source.namelist() if name in names}
    members[SCHEMA] = json.dumps(schema, sort_keys=True).encode()
    members[CARD] = json.dumps(card.model_dump(mode="json"), sort_keys=True).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            target.writestr(
                entry, members[name], compress_type=zipfile.ZIP_DEFLATED, compresslevel=6
            )
    return out.getvalue()


def unpack_forecaster(data: bytes) -> tuple[Any, ForecasterCard]:
    """Return the estimator and its card. Raises ModelUnusable as `TrainedModel.from_bytes`."""
    return unpack_as(ForecasterCard, data)


def stored_task(data: bytes) -> str:
    """Return the task of a stored model without loading it. Raises ModelUnusable when the bytes are no model."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            return str(json.loads(file.read(CARD))["task"])
    except _BROKEN as exc:
        raise _no_model(data, exc) from exc


def unpack_as(kind_of_card: type[CardT], data: bytes) -> tuple[Any, CardT]:
    """Return the estimator and its card, validated as the given class. Raises ModelUnusable."""
    import skops.io

    card = _card(kind_of_card, data)
    _check_versions(card)
    if not definition.serves(card.feature_definition):
        raise ModelUnusable(
            f"the model was trained on {card.feature_definition}, this release computes "
            f"{definition.FEATURE_DEFINITION}; train it again"
        )
    try:
        asked = set(skops.io.get_untrusted_types(data=data))
        refused = asked - TRUSTED[card.kind]
        if refused:
            raise ModelUnusable(
                f"the {card.kind} model contains {sorted(refused)}, trusted are {sorted(TRUSTED[card.kind])}; "
                "do not load it and find out who wrote it"
            )
        return skops.io.loads(data, trusted=sorted(asked)), card
    except _BROKEN as exc:
        raise ModelUnusable(
            f"the content of the model cannot be read: {exc!r}; train it again"
        ) from exc


def _card(kind_of_card: type[CardT], data: bytes) -> CardT:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            return kind_of_card.model_validate_json(file.read(CARD))
    except (*_BROKEN, ValidationError) as exc:
        raise _no_model(data, exc) from exc


def _no_model(data: bytes, cause: Exception) -> ModelUnusable:
    return ModelUnusable(
        f"{len(data)} bytes are not a Velocast model ({cause}); publish the artifact again"
    )


def _check_versions(card: ModelCard) -> None:
    made, here = card.library_versions.get(LIBRARY, "unknown"), version(LIBRARY)
    if made.split(".")[:2] != here.split(".")[:2]:
        raise ModelUnusable(
            f"the model was made with {LIBRARY} {made}, but {here} is installed; train it again or install that version"
        )
    if card.kind not in TRUSTED:
        raise ModelUnusable(
            f"kind {card.kind!r} is none of {sorted(TRUSTED)}; publish a model of a known kind"
        )


def _renumbered(schema: Any) -> tuple[Any, dict[str, str]]:
    """Replace the memory addresses that skops uses as ids and file names with consecutive numbers."""
    ids: dict[Any, int] = {}
    names: dict[str, str] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        changed = {key: walk(value) for key, value in node.items()}
        if "__id__" in node:
            changed["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if "file" in node and isinstance(node["file"], str):
            suffix = node["file"].rpartition(".")[2]
            changed["file"] = names.setdefault(node["file"], f"{len(names) + 1:06d}.{suffix}")
        return changed

    return walk(schema), names
