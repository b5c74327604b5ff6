"""`python -m benchmarks [system | mlforecast FILE | fit FILE | scale]`; see benchmarks/README.md."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

# Google's client libraries complain of an interpreter and of gRPC options that are none of a benchmark's business.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what is claimed.")
    parser.set_defaults(module="system")
    commands = parser.add_subparsers()
    system = commands.add_parser("system", help="the whole local stack (the default)")
    system.set_defaults(module="system")
    rival = commands.add_parser("mlforecast", help="accuracy and seconds beside mlforecast")
    rival.set_defaults(module="mlforecast_comparison")
    rival.add_argument("file", type=Path, help="counts, .parquet or .csv")
    rival.add_argument("--weeks", type=int, default=12)
    fit = commands.add_parser("fit", help="the default model's fit beside the predecessor's forest")
    fit.set_defaults(module="fit")
    fit.add_argument("file", type=Path, help="counts, .parquet or .csv")
    scale = commands.add_parser("scale", help="seconds, memory and cost for 50 to 10,000 counters")
    scale.set_defaults(module="scale")
    scale.add_argument("--counters", default="50,500", help="city sizes, ascending (50,500)")
    scale.add_argument("--days", type=int, default=90, help="local days of counts (90)")
    scale.add_argument("--emulate", type=int, default=500, help="largest city the emulator gets")
    scale.add_argument("--limit", type=int, default=600, help="seconds a step may take")
    for command in (rival, fit, scale):
        command.add_argument("--city", default="paris", help="whose clock and holidays")
        command.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    importlib.import_module(f"benchmarks.{arguments.module}").main(arguments)


if __name__ == "__main__":
    main()
