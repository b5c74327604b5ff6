"""Makes stack-0.1.tar.xz, the local stack of Velocast 0.1 that test_upgrade.py opens with this version.

    git worktree add --detach ../velocast-0.1 83ce727
    .venv/bin/python tests/upgrades/make_stack.py ../velocast-0.1

It runs the demo of that checkout with four counters and one day (some minutes), stops the stack and packs its folder.
Left out, for the file's size: reports, logs, MLflow's artifacts, and models that neither serve nor did. Left out too:
the secrets, which the next start makes again. @HOME@ and @ROOT@ stand for the two folders.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

TARGET = Path(__file__).parent / "stack-0.1.tar.xz"
DEMO = "import sys; from velocast_local.cli import app; app(sys.argv[1:])"
ARGUMENTS = ("demo", "--days=1", "--counters=4", "--once")
LEFT_OUT = ("secrets", "logs", "metrics", "mlflow/artifacts", "bigquery/home", "bigquery/uploads")
UNUSED = ("%/model.skops", "runs/%.skops", "drift_reports/%", "weather/%")


def main(checkout: Path) -> None:
    """Run the old demo and write the archive."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        path = os.pathsep.join(str(checkout / name) for name in ("shared", "local"))
        subprocess.run(
            [sys.executable, "-c", DEMO, *ARGUMENTS, f"--home={home}"],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": path},
            check=True,
        )
        pack(home, checkout)


def pack(home: Path, checkout: Path) -> None:
    """Write the archive from the folder of a stack that is down, which is changed."""
    for name in LEFT_OUT:
        shutil.rmtree(home / name, ignore_errors=True)
    _forget_objects(home / "objects")
    for file in home.rglob("*.json"):
        text = file.read_text(encoding="utf-8")
        placed = text.replace(str(home), "@HOME@").replace(str(checkout), "@ROOT@")
        file.write_text(placed, encoding="utf-8")
    with tarfile.open(TARGET, "w:xz", preset=9) as archive:
        archive.add(home, arcname=".", filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _forget_objects(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "metadata.sqlite")) as database, database:
        for pattern in UNUSED:
            rows = database.execute("SELECT file FROM objects WHERE name LIKE ?", (pattern,))
            for (file,) in rows.fetchall():
                (folder / "generations" / file).unlink()
            database.execute("DELETE FROM objects WHERE name LIKE ?", (pattern,))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
