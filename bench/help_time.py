"""CPU time of `sterling --help` beside the bare interpreter: medians of 21 runs of each, interleaved.

    python bench/help_time.py

Must reach: under 150 ms CPU.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import sterling": [sys.executable, "-c", "import sterling"],
    "sterling --help": [sys.executable, "-m", "sterling", "--help"],
}


def cpu_of(command: list[str]) -> float:
    """CPU seconds, user and system, of one run of a command."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(21):
        for name, command in COMMANDS.items():
            spent[name].append(cpu_of(command))
    bare = statistics.median(spent["python -c pass"])
    for name, seconds in spent.items():
        median = statistics.median(seconds)
        print(f"{name:<18} {median * 1000:6.0f} ms CPU   {median / bare:5.1f}x the bare interpreter")


if __name__ == "__main__":
    main()
