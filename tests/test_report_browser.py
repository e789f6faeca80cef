"""The page in a real browser: nothing is asked of the network, nothing complains, nothing sticks out."""

from __future__ import annotations

import html
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files",
)  # fmt: skip
# The page allows no script, so another page loads it into a frame of the wanted width and measures it from there.
MEASURE = """<!DOCTYPE html><iframe id="f" src="{page}" style="width:{width}px;height:900px;border:0"></iframe>
<pre id="o"></pre><script>
addEventListener('load', () => {{
  const d = document.getElementById('f').contentDocument, w = document.getElementById('f').contentWindow;
  const seen = [...d.querySelectorAll('body *')].filter(
    e => e.getClientRects().length && !e.closest('.unseen, caption, thead'));
  const wide = seen.filter(e => e.getBoundingClientRect().right > {width} + 1).map(e => e.tagName + '.' + e.className);
  const shown = [...d.querySelectorAll('svg.chart')].filter(e => e.getClientRects().length);
  const small = shown.flatMap(s => [...s.querySelectorAll('text')].map(t =>
    parseFloat(w.getComputedStyle(t).fontSize) * s.getBoundingClientRect().width / s.viewBox.baseVal.width));
  document.getElementById('o').textContent = JSON.stringify({{
    scroll: d.documentElement.scrollWidth, wide, shown: shown.length, smallest: Math.min(...small),
    asked: w.performance.getEntriesByType('resource').length, ground: w.getComputedStyle(d.body).backgroundColor}});
}});
</script>"""


def samples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report_samples", Path(__file__).with_name("test_report.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def browse(url: str, profile: Path, *options: str) -> tuple[str, str]:
    """The page after loading, and what the browser wrote to its log."""
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={profile}", "--enable-logging=stderr", *options]
    done = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def measured(folder: Path, text: str, *, width: int, scheme: int = 1) -> dict:
    import json

    page = folder / "page.html"
    page.write_text(text, encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(MEASURE.format(page=page.as_uri(), width=width), encoding="utf-8")
    options = (f"--window-size={max(width, 500) + 40},1000", f"--blink-settings=preferredColorScheme={scheme}")
    dom, log = browse(frame.as_uri(), folder / "profile", *options)
    said = [line for line in log.splitlines() if "CONSOLE" in line]
    found = re.search(r'<pre id="o">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None, dom[-500:]
    return {**json.loads(html.unescape(found.group(1))), "said": said}


def long_names(module: ModuleType):
    """The sample with names that have no place to break."""
    from dataclasses import replace

    result = module.sample()
    return replace(
        result,
        findings=(*result.findings, *(replace(f, slice="x" * 120, reason="y" * 300) for f in result.findings[:2])),
        notes=("z" * 200,),
    )


@pytest.mark.parametrize("width", [390, 900, 1000, 1280])
def test_nothing_sticks_out_nothing_is_asked_and_text_stays_readable(tmp_path: Path, width: int) -> None:
    module = samples()
    for text in (module.page(), module.page(long_names(module)), module.page(module.sample(with_curve=False))):
        seen = measured(tmp_path, text, width=width)
        assert seen["scroll"] <= width, seen
        assert seen["wide"] == []
        assert seen["shown"] == 1
        assert seen["smallest"] >= 10.5
        assert seen["asked"] == 0
        assert seen["said"] == []


def test_dark_and_light_follow_the_reader(tmp_path: Path) -> None:
    text = samples().page()
    light, dark = (measured(tmp_path, text, width=1280, scheme=s)["ground"] for s in (1, 0))
    assert light == "rgb(250, 250, 249)"
    assert dark == "rgb(19, 21, 24)"


def test_strangers_names_do_not_run(tmp_path: Path) -> None:
    module = samples()
    page = tmp_path / "nasty.html"
    page.write_text(module.page(module.nasty()), encoding="utf-8")
    dom, log = browse(page.as_uri(), tmp_path / "profile")
    assert "<img" not in dom
    assert not [line for line in log.splitlines() if "CONSOLE" in line]
