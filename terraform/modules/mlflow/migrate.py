"""Upgrade the tables of MLflow's database to what this image's MLflow needs, then let the Auth Proxy quit.

Runs in the job velocast-mlflow-migrate as `python -c`, with the database's URI and the address that ends the proxy as
arguments. Ends with MLflow's exit code. An empty database is left to the server, which creates its tables.
"""

import subprocess
import sys
import urllib.request

import sqlalchemy


def migrate(database_uri: str) -> int:
    """Run MLflow's migrations. Returns 0, or the exit code of `mlflow db upgrade`."""
    engine = sqlalchemy.create_engine(database_uri)
    try:
        empty = not sqlalchemy.inspect(engine).has_table("experiments")
    finally:
        engine.dispose()
    if empty:
        sys.stdout.write("the database has no tables: the server creates them at its first start\n")
        return 0
    return subprocess.run(["mlflow", "db", "upgrade", database_uri], check=False).returncode


def main(database_uri: str, quit_url: str) -> int:
    """Migrate, and end the proxy whatever happened. Returns the exit code of the job."""
    try:
        return migrate(database_uri)
    finally:
        request = urllib.request.Request(quit_url, method="POST")
        urllib.request.urlopen(request, timeout=10).close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
