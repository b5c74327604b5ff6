"""Models in the models bucket, stored and loaded by the hash of their bytes."""

from __future__ import annotations

import hashlib

from velocast.adapters.gcs import Objects
from velocast.core.errors import ModelUnusable, ObjectMissing
from velocast.model.learning import models
from velocast.usecases.training.records import Artifact

MODEL_TYPE = "application/zip"


def load_model(objects: Objects, artifact: Artifact) -> models.Model:
    """Return a stored model. Raises ModelUnusable when it is missing, altered or made by other versions."""
    root = objects.uri("")
    try:
        data = objects.read(artifact.uri.removeprefix(root)).data
    except ObjectMissing as exc:
        raise ModelUnusable(str(exc)) from exc
    if hashlib.sha256(data).hexdigest() != artifact.sha256:
        raise ModelUnusable(f"{artifact.uri} is not the content of SHA-256 {artifact.sha256}")
    return models.from_bytes(data)


def store_model(objects: Objects, name: str, data: bytes) -> Artifact:
    """Write a model under a name that belongs to these bytes alone."""
    objects.write_once(name, data, MODEL_TYPE)
    return Artifact(uri=objects.uri(name), sha256=hashlib.sha256(data).hexdigest())
