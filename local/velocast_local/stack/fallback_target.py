"""The local stack as the system that `velocast` works on when the environment names none."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from gcp_emulators.core.clock import Clock
from velocast_cli.target import FallbackTarget
from velocast_local.stack import lifecycle, status
from velocast_local.stack.state import StackFailed, home_folder, read_state


def local_stack(home: Path | None) -> FallbackTarget:
    """Return the stack in `home` (default: see `home_folder`) as a target, whether or not it is running."""
    folder = home_folder(home)

    def variables() -> dict[str, str]:
        if not status.is_up(folder):
            raise StackFailed(
                f"GOOGLE_CLOUD_PROJECT is not set and no stack is running in {folder}; start one with "
                "`velocast local up`, or set the variables of a deployment"
            )
        return lifecycle.stack_variables(folder)

    def now() -> datetime | None:
        state = read_state(folder)
        if state is None or os.environ.get("STORAGE_EMULATOR_HOST") != state.url:
            return None
        return Clock(state.clock_file).now()

    return FallbackTarget(variables, now)
