"""The stored state of the local Pub/Sub: topics, subscriptions, messages and deliveries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Resource = dict[str, Any]
Outcome = Literal["waiting", "retrying", "ok", "dead"]

_TABLES = """
CREATE TABLE IF NOT EXISTS resources (kind TEXT, name TEXT, resource TEXT, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, data BLOB NOT NULL,
  attributes TEXT NOT NULL, published_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  message INTEGER NOT NULL, subscription TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  outcome TEXT NOT NULL DEFAULT 'waiting', status INTEGER, error TEXT,
  PRIMARY KEY (message, subscription));
CREATE INDEX IF NOT EXISTS open_deliveries ON deliveries (subscription) WHERE outcome IN ('waiting', 'retrying');
"""


@dataclass(frozen=True)
class PublishedMessage:
    """A published message; `published_at` is RFC 3339 in UTC."""

    id: int
    topic: str
    data: bytes
    attributes: dict[str, str]
    published_at: str


@dataclass(frozen=True)
class DeliveryRecord:
    """Status of the delivery of one message to one subscription.

    outcome: `waiting` (not tried yet), `retrying`, `ok` or `dead` (sent to the dead-letter topic).
    status: HTTP status of the last push; None before the first push, for a pull and for a refused connection.
    error: last error of the receiver or the connection; None after a success.
    """

    message_id: str
    topic: str
    subscription: str
    published_at: str
    attempts: int
    outcome: Outcome
    status: int | None
    error: str | None


class Journal:
    """A SQLite file of resources, messages and deliveries; callers must hold a lock."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def save_resource(self, kind: str, resource: Resource) -> None:
        """Write a topic or subscription under its name."""
        row = (kind, resource["name"], json.dumps(resource))
        self._database.execute("INSERT OR REPLACE INTO resources VALUES (?, ?, ?)", row)

    def delete_resource(self, kind: str, name: str) -> None:
        """Delete a topic, or a subscription and its deliveries."""
        self._database.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name))
        if kind == "subscription":
            self._database.execute("DELETE FROM deliveries WHERE subscription = ?", (name,))

    def resources(self, kind: str) -> Iterator[Resource]:
        """Yield the topics or the subscriptions, sorted by name."""
        sql = "SELECT resource FROM resources WHERE kind = ? ORDER BY name"
        for (text,) in self._database.execute(sql, (kind,)).fetchall():
            yield json.loads(text)

    def add_message(
        self,
        topic: str,
        data: bytes,
        attributes: dict[str, str],
        published_at: str,
        subscriptions: list[str],
    ) -> int:
        """Write a message and a waiting delivery for each subscription in one transaction; return its id."""
        self._database.execute("BEGIN")
        row = (topic, data, json.dumps(attributes), published_at)
        sql = "INSERT INTO messages (topic, data, attributes, published_at) VALUES (?, ?, ?, ?)"
        message = int(self._database.execute(sql, row).lastrowid or 0)
        self._database.executemany(
            "INSERT INTO deliveries (message, subscription) VALUES (?, ?)",
            [(message, subscription) for subscription in subscriptions],
        )
        self._database.execute("COMMIT")
        return message

    def message(self, message: int) -> PublishedMessage:
        """Return a message by id."""
        row = self._database.execute("SELECT * FROM messages WHERE id = ?", (message,)).fetchone()
        number, topic, data, attributes, published_at = row
        return PublishedMessage(number, topic, data, json.loads(attributes), published_at)

    def open_messages(self, subscription: str) -> list[int]:
        """Return the ids of the messages that a subscription has still to deliver, oldest first."""
        sql = (
            "SELECT message FROM deliveries WHERE subscription = ?"
            " AND outcome IN ('waiting', 'retrying') ORDER BY message"
        )
        return [row[0] for row in self._database.execute(sql, (subscription,)).fetchall()]

    def begin_attempt(self, message: int, subscription: str) -> int:
        """Count one more attempt and return the number of attempts."""
        key = (message, subscription)
        sql = "UPDATE deliveries SET attempts = attempts + 1 WHERE message = ? AND subscription = ?"
        self._database.execute(sql, key)
        sql = "SELECT attempts FROM deliveries WHERE message = ? AND subscription = ?"
        row = self._database.execute(sql, key).fetchone()
        return int(row[0]) if row else 0

    def settle(
        self,
        message: int,
        subscription: str,
        outcome: Outcome,
        status: int | None,
        error: str | None,
    ) -> None:
        """Record the result of the last attempt."""
        self._database.execute(
            "UPDATE deliveries SET outcome = ?, status = ?, error = ? WHERE message = ? AND subscription = ?",
            (outcome, status, error, message, subscription),
        )

    def deliveries(self, limit: int) -> list[DeliveryRecord]:
        """Return the newest `limit` deliveries, oldest first."""
        sql = (
            "SELECT m.id, m.topic, d.subscription, m.published_at, d.attempts, d.outcome, d.status, d.error"
            " FROM deliveries d JOIN messages m ON m.id = d.message ORDER BY m.id DESC, d.subscription LIMIT ?"
        )
        rows = self._database.execute(sql, (limit,)).fetchall()
        return [DeliveryRecord(str(row[0]), *row[1:]) for row in reversed(rows)]
