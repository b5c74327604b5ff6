"""CPU time is that of all processes of a block, however long the machine let them wait."""

from __future__ import annotations

import subprocess
import sys
import time

from velocast_cli.backtesting.resources import ResourceUse, measure_resources

BUSY = "import time\nwhile time.process_time() < 0.4: pass\n"


def test_cpu_time_is_not_the_time_waited() -> None:
    with measure_resources() as used:
        time.sleep(0.5)
    assert used.seconds >= 0.5
    assert used.cpu_seconds < 0.25


def test_a_child_that_ended_and_one_that_still_runs_count() -> None:
    with measure_resources() as ended:
        subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert ended.cpu_seconds >= 0.39

    code = BUSY + "print(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        with measure_resources() as running:
            child.stdout.readline()
        with measure_resources() as idle:
            pass
        child.communicate(b"\n")
    assert running.cpu_seconds >= 0.2, "its start may have been before the block"
    assert idle.cpu_seconds < 0.1, "what it had worked before the block is not counted"


def test_blocks_add_up() -> None:
    total = ResourceUse(1.0, 2.0, 300.0)
    total.add(ResourceUse(10.0, 20.0, 200.0))
    assert total == ResourceUse(11.0, 22.0, 300.0)
