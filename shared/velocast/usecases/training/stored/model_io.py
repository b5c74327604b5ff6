"""Stored models and other objects of the models bucket that a record names by the hash of their bytes."""

from __future__ import annotations

import hashlib

from velocast.adapters.gcs import Objects
from velocast.core.errors import ModelUnusable, ObjectMissing
from velocast.model.learning import models
from velocast.usecases.training.stored.records import Artifact

MODEL_TYPE = "application/zip"


def read_artifact(objects: Objects, artifact: Artifact) -> bytes:
    """Return a stored object's bytes. Raises ModelUnusable when it is missing or altered."""
    root = objects.uri("")
    try:
        data = objects.read(artifact.uri.removeprefix(root)).data
    except ObjectMissing as exc:
        raise ModelUnusable(str(exc)) from exc
    if hashlib.sha256(data).hexdigest() != artifact.sha256:
        raise ModelUnusable(f"{artifact.uri} is not the content of SHA-256 {artifact.sha256}")
    return data


def load_model(objects: Objects, artifact: Artifact) -> models.Model:
    """Return a stored model. Raises ModelUnusable when it is missing, altered or made by other versions."""
    return models.from_bytes(read_artifact(objects, artifact))


def store_model(objects: Objects, name: str, data: bytes) -> Artifact:
    """Write a model under a name that belongs to these bytes alone."""
    objects.write_once(name, data, MODEL_TYPE)
    return artifact_of(objects, name, data)


def artifact_of(objects: Objects, name: str, data: bytes) -> Artifact:
    """Return the address and hash of an object's bytes."""
    return Artifact(uri=objects.uri(name), sha256=hashlib.sha256(data).hexdigest())
