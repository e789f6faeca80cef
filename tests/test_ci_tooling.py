"""What CI uses, run as CI runs it: the action's steps, the hooks' entries, the pytest plugin."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.csv as pc
import pytest

import sterling
from sterling.decide.result import read_result
from sterling.pytest_plugin import assert_ships

ROOT = Path(__file__).parent.parent
SITE = next(p for p in map(Path, sys.path) if p.name == "site-packages")


def read_yaml(text: str) -> Any:
    """The YAML these files are written in: mappings and lists by indentation, plain and double-quoted scalars."""
    lines = [(len(x) - len(x.lstrip()), x.strip()) for x in text.splitlines() if x.strip() and x.strip()[0] != "#"]
    value, rest = block(lines, lines[0][0])
    assert not rest, rest
    return value


def block(lines: list[tuple[int, str]], depth: int) -> tuple[Any, list[tuple[int, str]]]:
    if lines[0][1].startswith("- "):
        items: list[Any] = []
        while lines and lines[0] >= (depth, "- ") and lines[0][0] == depth and lines[0][1].startswith("- "):
            item, lines = block([(depth + 2, lines[0][1][2:]), *lines[1:]], depth + 2)
            items.append(item)
        return items, lines
    found: dict[str, Any] = {}
    while lines and lines[0][0] == depth and not lines[0][1].startswith("- "):
        key, _, value = lines[0][1].partition(":")
        lines = lines[1:]
        if value.strip():
            found[key] = json.loads(value) if value.strip()[0] == '"' else value.strip()
        else:
            found[key], lines = block(lines, lines[0][0])
    return found, lines


def test_the_reader_reads() -> None:
    text = 'a: b: c\nd:\n  - x: "1 # 2"\n    y:\n      z: w\n  # no\n  - x: 2\n'
    assert read_yaml(text) == {"a": "b: c", "d": [{"x": "1 # 2", "y": {"z": "w"}}, {"x": "2"}]}


def small(folder: Path, where: Path) -> None:
    """600 rows of each set: the steps are what is tested here, not the measures."""
    for name in ("real.csv", "other.csv"):
        pc.write_csv(pc.read_csv(folder / name).slice(0, 600), where / name)


# --- the GitHub action -----------------------------------------------------------------------------------------------


@dataclass
class Job:
    """A runner that knows of composite actions what ours uses: inputs, outputs of steps, run and env."""

    where: Path
    checkout: Path
    env: dict[str, str]
    installed: bool = False
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    log: str = ""

    def use(self, **inputs: str) -> int:
        action = read_yaml((self.checkout / "action.yml").read_text())
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= action["inputs"].keys()
        known = {n: given.get(n, spec["default"]) for n, spec in action["inputs"].items()}
        self.steps = {"python": {"python-path": sys.executable}}
        for step in action["runs"]["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/setup-python@v\d+", step["uses"])
                continue
            if self.installed and step["name"] == "Install Sterling":
                continue
            assert step["shell"] == "bash"
            assert "${{" not in step["run"]  # an input must not become program text
            code = self.step(step, known)
            if code:
                return code
        return 0

    def step(self, step: dict[str, Any], known: dict[str, str]) -> int:
        def filled(text: str) -> str:
            text = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: known[m[1]], text)
            return re.sub(
                r"\$\{\{ steps\.(\w+)\.outputs\.([\w-]+) \}\}", lambda m: self.steps.get(m[1], {}).get(m[2], ""), text
            )

        outputs = self.where / "outputs"
        outputs.write_text("")
        env = {k: filled(v) for k, v in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.where / filled(step.get("working-directory", ".")),
            env={**self.env, **env, "GITHUB_ACTION_PATH": str(self.checkout), "GITHUB_OUTPUT": str(outputs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log += done.stdout
        named = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        self.steps[step.get("id", "")] = named
        return done.returncode

    def output(self, name: str) -> str:
        action = read_yaml((self.checkout / "action.yml").read_text())
        step, output = re.findall(r"steps\.(\w+)\.outputs\.(\w+)", action["outputs"][name]["value"])[0]
        return self.steps[step][output]

    @property
    def summary(self) -> str:
        return Path(self.env["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A runner's environment in which pip needs no network: what Sterling builds on is there already."""
    temp, there = tmp_path_factory.mktemp("runner"), tmp_path_factory.mktemp("packages")
    for entry in SITE.iterdir():  # all but Sterling itself, so that what runs is what the action installed
        if "sterling" not in entry.name and not entry.name.endswith(".pth"):
            (there / entry.name).symlink_to(entry)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(temp),
        "RUNNER_TEMP": str(temp),
        "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        "STERLING_HOME": str(temp / "home"),
        "OMP_NUM_THREADS": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one backwards: 0 turns isolation off
        "PYTHONPATH": str(there),
    }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The action's own checkout: a copy, since pip builds inside it."""
    where = tmp_path_factory.mktemp("action")
    for name in ("action.yml", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, where / name)
    shutil.copytree(ROOT / ".github", where / ".github")
    shutil.copytree(ROOT / "src", where / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return where


def own_source(job: Job) -> Job:
    """The other steps with the compiled kernels of this checkout: an installed copy would compile its own, slowly."""
    env = {**job.env, "PYTHONPATH": f"{ROOT / 'src'}:{job.env['PYTHONPATH']}"}
    if not (Path(env["RUNNER_TEMP"]) / "sterling").is_dir():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", f"{env['RUNNER_TEMP']}/sterling"], check=True)
    return replace(job, env=env, installed=True)


@pytest.fixture
def job(runner: dict[str, str], checkout: Path, tmp_path: Path) -> Job:
    Path(runner["GITHUB_STEP_SUMMARY"]).write_text("")
    return Job(tmp_path, checkout, runner)


@pytest.fixture(scope="module")
def poisoned(
    folder: Path, runner: dict[str, str], checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Job, int]:
    """The action has been asked about flipped labels."""
    job = own_source(Job(tmp_path_factory.mktemp("poisoned"), checkout, dict(runner)))
    job.env["GITHUB_STEP_SUMMARY"] = str(job.where / "summary.md")
    small(folder, job.where)
    inputs = {"real": "real.csv", "synthetic": "other.csv", "result": "sterling-other.json", "target": "label"}
    return job, job.use(**inputs, fast="true", groups="sex\n", junit="g.xml")


@pytest.fixture
def refused(poisoned: tuple[Job, int]) -> Path:
    """A result that the gate refuses."""
    return poisoned[0].where / poisoned[0].output("result")


@pytest.fixture(scope="module")
def shipping(poisoned: tuple[Job, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same findings, all passing: what a gate lets through."""
    data = json.loads((poisoned[0].where / poisoned[0].output("result")).read_text())
    for finding in data["findings"]:
        finding["status"] = "pass" if finding["value"] is not None else finding["status"]
    path = tmp_path_factory.mktemp("shipping") / "sterling-shipping.json"
    path.write_text(json.dumps({**data, "verdict": "SHIP", "rules": []}))
    return path


def test_the_action_installs_itself_from_its_own_checkout(job: Job) -> None:
    assert job.use(result="absent.json") == 2
    assert f"sterling {sterling.__version__}" in job.log
    assert "To mend" in job.summary
    installed = list(Path(job.env["RUNNER_TEMP"]).glob("sterling/lib/*/site-packages/sterling/__init__.py"))
    assert len(installed) == 1
    assert not (ROOT / "build").exists()


def test_the_action_compares_and_refuses(poisoned: tuple[Job, int]) -> None:
    job, code = poisoned
    assert code == 1, job.log
    assert job.output("passed") == "false"
    result = read_result(job.where / job.output("result"))
    assert job.output("verdict") == result.decision.verdict.value != "SHIP"
    assert [record.name for record in result.inputs] == ["real", "other"]
    assert "### Synthetic data: may not ship" in job.summary
    assert "Not passed" in job.summary
    assert "Not passed" in job.log
    assert "<testsuite" in (job.where / "g.xml").read_text()


def test_the_action_takes_a_result_that_is_there(job: Job, shipping: Path) -> None:
    job = own_source(job)
    shutil.copy(shipping, job.where / "r.json")
    assert job.use(result="r.json", baseline="r.json") == 0, job.log
    assert (job.output("passed"), job.output("verdict"), job.output("result")) == ("true", "SHIP", "r.json")
    assert "nothing got worse" in job.summary


def test_the_action_says_what_it_lacks(job: Job) -> None:
    job = own_source(job)
    assert job.use() == 2
    assert "To mend: give the action real and synthetic, or result" in job.log


def test_strangers_text_stays_text_in_log_and_summary(job: Job, refused: Path) -> None:
    job = own_source(job)
    data = json.loads(refused.read_text())
    data["rules"] = [dict(r, reason="::set-output name=x::\n::error::a\n\n<script>`*") for r in data["rules"]]
    (job.where / "r.json").write_text(json.dumps(data))
    assert job.use(result="r.json") == 1
    assert "<script>" not in job.summary
    assert "&lt;script&gt;" in job.summary
    start, end = job.log.index("::stop-commands::"), job.log.rindex("::sterling-")
    assert start < job.log.index("::set-output") < end
    hostile = "real.csv; touch pwned $(touch pwned) ${{ x }}"
    assert job.use(real=hostile, synthetic="other.csv") == 2
    assert not (job.where / "pwned").exists()


def test_the_action_uploads_nothing() -> None:
    said = "".join(p.read_text() for p in [ROOT / "action.yml", *(ROOT / ".github" / "action").iterdir()])
    assert not re.search(r"upload-artifact|curl|wget|https?:", said)
    assert re.findall(r"uses: (\S+)", said) == ["actions/setup-python@v5"]


# --- pre-commit ------------------------------------------------------------------------------------------------------


def hooks() -> dict[str, dict[str, Any]]:
    return {hook["id"]: hook for hook in read_yaml((ROOT / ".pre-commit-hooks.yaml").read_text())}


def run_hook(name: str, *args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """As pre-commit runs it: the entry, split like a shell, then args and the files that match."""
    hook = hooks()[name]
    assert hook["language"] == "python"
    words = shlex.split(hook["entry"])
    assert words[0] == "python"
    command = [sys.executable, *words[1:], *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_hooks_name_what_they_must() -> None:
    for hook in hooks().values():
        assert {"id", "name", "entry", "language", "files"} <= hook.keys()
        re.compile(hook["files"])
    gate, check = hooks()["sterling-gate"], hooks()["sterling-check"]
    for path, hit in [("sterling.json", True), ("out/sterling-vendor.json", True), ("a.sterling.json", True),
                      ("package.json", False), ("sterling.json.bak", False)]:  # fmt: skip
        assert bool(re.search(gate["files"], path)) is hit, path
    assert re.search(gate["exclude"], "sterling-base.worse.json")
    assert re.search(check["files"], "data/train.parquet")
    assert not re.search(check["files"], "data/train.png")


def test_the_gate_hook_judges_every_file(shipping: Path, refused: Path, tmp_path: Path) -> None:
    assert run_hook("sterling-gate", cwd=tmp_path).returncode == 0
    good = run_hook("sterling-gate", "--policy", "default", shipping, cwd=tmp_path)
    assert (good.returncode, "Passed" in good.stdout) == (0, True), good.stderr
    both = run_hook("sterling-gate", refused, shipping, cwd=tmp_path)
    assert both.returncode == 1
    assert both.stdout.count("assed: the verdict") == 2
    (tmp_path / "broken.json").write_text("{")
    worst = run_hook("sterling-gate", "broken.json", refused, cwd=tmp_path)
    assert worst.returncode == 2
    assert "To mend" in worst.stderr
    assert "Not passed" in worst.stdout  # one unreadable file does not hide the others
    assert run_hook("sterling-gate", "--against", "x.csv", refused, cwd=tmp_path).returncode == 2


def test_the_check_hook_judges_records(folder: Path, tmp_path: Path) -> None:
    pc.write_csv(pc.read_csv(folder / "real.csv").slice(0, 300), tmp_path / "good.csv")
    pc.write_csv(pc.read_csv(folder / "vendor.csv").slice(0, 300), tmp_path / "copied.csv")
    done = run_hook("sterling-check", "--against", folder / "vendor.csv", "good.csv", "copied.csv", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "good.csv: Passed" in done.stdout
    assert "copied.csv: Not passed" in done.stdout
    assert "duplicates: 300 of 300 records dropped" in done.stdout


# --- pytest ----------------------------------------------------------------------------------------------------------

USERS_TESTS = """
import sterling
from sterling.pytest_plugin import assert_ships


def test_poisoned():
    assert_ships("real.csv", "other.csv", target="label", effort="fast")


def test_lenient():
    result = assert_ships("real.csv", "other.csv", effort="fast", policy="lenient.toml")
    assert result.kind == "compare"
"""


def run_pytest(where: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """A pytest of a user: our plugin alone, named as `-p`, so that it does not matter how we were installed."""
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "pytest", "-p", "sterling.pytest_plugin", "--color=no", "-p", "no:cacheprovider"]
    return subprocess.run([*words, *args], cwd=where, env=env, capture_output=True, text=True)


def test_the_plugin_fails_a_users_test_with_the_reasons(folder: Path, tmp_path: Path) -> None:
    small(folder, tmp_path)
    (tmp_path / "test_mine.py").write_text(USERS_TESTS)
    verdicts = '["SHIP", "FIX", "BLOCK", "INSUFFICIENT"]'
    (tmp_path / "lenient.toml").write_text(f"version = 1\n[gate]\nallow = {verdicts}\n")
    done = run_pytest(tmp_path, "--sterling-json", "kept", "test_mine.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    kept = sorted((tmp_path / "kept").iterdir())
    assert [p.name.rpartition("-")[0] for p in kept] == ["test_mine.py-test_lenient", "test_mine.py-test_poisoned"]
    result = read_result(kept[1])
    said = done.stdout
    assert f"AssertionError: {result.decision.verdict.value}, not shipped: " in said
    assert f"policy {result.policy}, seed 0; real 600 rows, other 600 rows" in said
    assert re.search(r"finding +value +interval +bound +floor", said)
    assert "label_loss" in said
    assert str(kept[1]) in said
    assert "\x1b" not in said
    assert "def compare(" not in said  # the traceback ends in the user's own line


def test_the_message_names_the_most_important_first() -> None:
    from sterling.decide.gate import gate
    from sterling.decide.inputs import InputRecord
    from sterling.decide.result import Result
    from sterling.kernel.estimate import Estimate
    from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict
    from sterling.pytest_plugin import refusal

    def failed(measure: str, low: float, **more: Any) -> Finding:
        e = Estimate(low + 0.01, low, low + 0.02, 900, 0.95, "test")
        return Finding(measure, e, "lower", Status.FAIL, params={"bound": 0.05}, reason=f"{measure} is bad.", **more)

    findings = (
        failed("other", 0.9),
        failed("marginal_gap", 0.06, slice="column=age"),
        failed("marginal_gap", 0.30, slice="column=sex", floor=Estimate(0.011, 0.0, 0.02, 9, 0.95, "test")),
        failed("marginal_gap", 0.30),
        failed("label_loss", 0.08),
    )
    rules = (RuleOutcome("D3", "RELABEL", ("label_loss",), "Labels are wrong.", Verdict.FIX),)
    rules += (RuleOutcome("BOUND", "FIX", ("marginal_gap",), "A gap.", Verdict.FIX),)
    inputs = (InputRecord("real", 1200, "x", "real"), InputRecord("v", 900, "y", "synthetic"))
    result = Result("compare", Decision(Verdict.FIX, "p 1", rules, ("copies",)), findings, inputs, 3, "p 1")
    said = refusal(result, gate(result)).splitlines()
    table = [line.split()[0] for line in said if re.match(r"  \S+ +-?\d", line)]
    assert table == ["label_loss", "marginal_gap", "other", "marginal_gap:column=sex", "marginal_gap:column=age"]
    row = next(line for line in said if line.startswith("  marginal_gap:column=sex"))
    assert row.split()[1:] == ["0.31", "[0.3,", "0.32]", "0.05", "0.011"]
    assert said[0].startswith("FIX, not shipped: Labels are wrong.")
    assert "  policy p 1, seed 3; real 1,200 rows, v 900 rows" in said
    assert "  D3 RELABEL: Labels are wrong." in said
    assert "  unmeasured: copies" in said


def test_what_the_baseline_refuses_is_told(shipping: Path, tmp_path: Path) -> None:
    from sterling.decide.baseline import Baseline
    from sterling.decide.gate import gate
    from sterling.decide.policy import load_policy
    from sterling.kernel.finding import RuleOutcome, Verdict
    from sterling.pytest_plugin import refusal

    now = read_result(shipping)
    auc = next(f for f in now.findings if f.measure == "two_sample_auc" and f.slice is None)
    better = replace(auc, result=replace(auc.result, value=0.01, low=0.005, high=0.015))
    before = replace(now, findings=tuple(better if f is auc else f for f in now.findings))
    policy = load_policy()
    strict = replace(policy, gate=replace(policy.gate, worse="refuse"))
    answer = gate(now, policy=strict, baseline=Baseline(before))
    said = refusal(now, answer)
    assert "it got worse than the baseline in other: two_sample_auc (0.01 [0.005, 0.015] before" in said
    assert re.search(r"^  two_sample_auc +\d", said, re.MULTILINE)
    # A policy that only names what got worse refuses for other reasons: each is said once.
    rule = RuleOutcome("D3", "RELABEL", ("label_loss",), "Labels are wrong.", Verdict.FIX)
    refused = replace(now, decision=replace(now.decision, verdict=Verdict.FIX, rules=(rule,)))
    for worse in ("name", "refuse"):
        asked = gate(refused, policy=replace(policy, gate=replace(policy.gate, worse=worse)), baseline=Baseline(before))
        lines = refusal(refused, asked).splitlines()
        assert sum("Labels are wrong." in line for line in lines[1:]) == 1
        assert sum("it got worse than the baseline in other" in line for line in lines) == 1


def test_every_question_of_one_test_is_kept(shipping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sterling.pytest_plugin import FOLDER, _keep

    now = read_result(shipping)
    monkeypatch.setenv(FOLDER, str(tmp_path / "kept"))
    (tmp_path / "kept").mkdir()
    # One set asked about twice, such as with another target, groups or slices.
    first, second = _keep(now), _keep(replace(now, notes=("another question",)))
    assert first is not None
    assert second is not None
    assert first != second
    assert (read_result(first).notes, read_result(second).notes) == (now.notes, ("another question",))
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "another.py::test (call)")
    other = _keep(now)
    assert other is not None
    assert re.fullmatch(r"another.py-test-[0-9a-f]{8}", other.stem)


def test_a_baseline_may_be_named_by_text(shipping: Path) -> None:
    from sterling.pytest_plugin import _asked

    asked = _asked(read_result(shipping), policy=None, stakes="low", baseline=str(shipping))
    assert asked.comparison is not None


def test_unusable_input_is_an_error_not_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(sterling.SterlingError) as caught:
        assert_ships(tmp_path / "absent.csv", tmp_path / "absent.csv")
    assert not isinstance(caught.value, AssertionError)


def test_the_plugin_is_light_and_needs_no_pytest() -> None:
    code = "import sys, sterling.pytest_plugin; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pyarrow", "scipy", "sklearn", "pydantic", "pytest", "typer", "rich"} & set(loaded)


def test_the_plugin_is_announced_to_pytest(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"sterling": "sterling.pytest_plugin"}
    assert not any(d.startswith("pytest") for d in project["dependencies"])
    done = run_pytest(tmp_path, "--help")
    assert "--sterling-json=DIR" in done.stdout
    numpy_free = "import sys\ndef pytest_sessionfinish():\n    print('heavy', 'numpy' in sys.modules)\n"
    (tmp_path / "conftest.py").write_text(numpy_free)
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    assert "heavy False" in run_pytest(tmp_path, "-s").stdout


def test_the_option_does_not_outlive_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sterling.pytest_plugin import FOLDER, _put_back

    monkeypatch.setenv(FOLDER, "inner")
    _put_back("outer")
    assert os.environ[FOLDER] == "outer"
    _put_back(None)
    assert FOLDER not in os.environ
