"""JSON documents in a folder, kept in order of creation."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class DocumentStore:
    """Documents by key, held in memory and in `folder/<key>.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        read = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")]
        self._entries = {
            entry["key"]: entry for entry in sorted(read, key=lambda e: int(e["order"]))
        }

    def get(self, key: str) -> Document | None:
        """Return a copy of a document, or None."""
        with self._lock:
            entry = self._entries.get(key)
            return None if entry is None else dict(entry["document"])

    def put(self, key: str, document: Document) -> Document:
        """Write a document and return a copy; one that exists keeps its place in the order."""
        with self._lock:
            known = self._entries.get(key)
            order = known["order"] if known else len(self._entries)
            entry = {"key": key, "order": order, "document": document}
            draft = self._folder / f"{key}.draft"
            draft.write_text(json.dumps(entry), encoding="utf-8")
            draft.replace(self._folder / f"{key}.json")
            self._entries[key] = entry
            return dict(document)

    def update(self, key: str, **changes: Any) -> Document:
        """Overwrite some fields of a document; raises KeyError if it does not exist."""
        with self._lock:
            return self.put(key, self._entries[key]["document"] | changes)

    def newest_first(self) -> list[Document]:
        """Return copies of all documents, newest first."""
        with self._lock:
            return [dict(entry["document"]) for entry in reversed(self._entries.values())]
