"""Every command and every Python block in README and docs runs, in the order it stands on its page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Blocks that show a form to fill in, and make targets, which CI runs by itself.
NOT_RUN = ("make ", "git clone", "cd sterling", "pip install", "python bench/")
RUNS = "arm,rows,score,seed\n" + "".join(
    f"real,{n},{score + 0.001 * seed},{seed}\n"
    for n, score in [(100, 0.80), (200, 0.84), (400, 0.87), (800, 0.89), (1600, 0.90)]
    for seed in range(3)
)


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def sandbox(folder: Path, tmp_path: Path) -> Path:
    """A folder with the files the pages speak of."""
    for name in ("real.csv", "vendor.csv", "holdout.csv", "other.csv"):
        shutil.copy(folder / name, tmp_path / name)
    rows = "".join(f"vendor,1000,{0.885 + 0.001 * seed},{seed}\n" for seed in range(3))
    (tmp_path / "runs.csv").write_text(RUNS + rows)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_what_a_page_says_to_type_works(page: Path, sandbox: Path) -> None:
    for language, text in blocks(page):
        if language == "toml" and "[real]" in text:
            (sandbox / "study.toml").write_text(text)
    for language, text in blocks(page):
        if language == "sh":
            lines = [line for line in text.splitlines() if line.strip() and not line.startswith(NOT_RUN)]
            run(["bash", "-euc", "\n".join(lines)], sandbox, page)
        elif language == "python" and "import sterling\n" in text:
            run([sys.executable, "-c", text], sandbox, page)


def run(command: list[str], where: Path, page: Path) -> None:
    import os

    bin_folder = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{page.name}: {command[-1]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
