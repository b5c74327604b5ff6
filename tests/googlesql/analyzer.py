"""Google's own analyzer of GoogleSQL, the language of BigQuery (analyzer/: Java, from Maven Central)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

SOURCE = Path(__file__).parent / "analyzer"
OUTPUT = Path(__file__).parents[2] / "build" / "googlesql"
PROGRAMS = ("java", "mvn")


@dataclass(frozen=True)
class Statement:
    """A statement with the type of each parameter, such as `{"until": "TIMESTAMP"}`."""

    sql: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def missing_programs() -> list[str]:
    """Return the programs that the analyzer needs and this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Analyzer:
    """The running analyzer; a context manager. Raises CalledProcessError if it cannot be built."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["java", "-cp", _class_path(), "Analyze"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def refusals(
        self, tables: Mapping[str, Mapping[str, str]], statements: Sequence[Statement]
    ) -> list[str | None]:
        """Return for each statement None, or why BigQuery's analyzer refuses it.

        tables: full name, as written in the statements, to column to type. A parameter without a type is refused.
        """
        assert self._process.stdin
        assert self._process.stdout
        request = {"tables": tables, "statements": [asdict(s) for s in statements]}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answers: list[str | None] = json.loads(self._process.stdout.readline())
        return answers


def _class_path() -> str:
    """Compile the analyzer, and return where it and its libraries are."""
    listing = OUTPUT / "classpath"
    build = ["mvn", "--quiet", "--batch-mode", f"--file={SOURCE / 'pom.xml'}", f"-Doutput={OUTPUT}"]
    goals = ["compile", "dependency:build-classpath", f"-Dmdep.outputFile={listing}"]
    subprocess.run([*build, *goals], check=True, timeout=600)
    return f"{OUTPUT / 'classes'}:{listing.read_text(encoding='utf-8').strip()}"
