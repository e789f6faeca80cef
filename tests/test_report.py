"""The page: everything a reader needs is on it, nothing a stranger wrote runs in it, a recipient learns nothing."""

from __future__ import annotations

import datetime
import pickle
import re
from dataclasses import replace
from html.parser import HTMLParser
from math import inf

import pytest

from sterling.decide.policy import load_policy
from sterling.decide.result import InputRecord, Result, parse_result
from sterling.decide.rules import Facts, decide
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, Status, Verdict
from sterling.kernel.table import Table
from sterling.report import render, svg
from sterling.report.chart import NARROW, WIDE, _drawing, learning_curve, row_ticks, score_ticks
from sterling.report.curve import parse_curve
from sterling.report.figures import number
from sterling.report.forest import forest
from sterling.report.recipient import mask

TODAY = datetime.date(2026, 11, 24)


def estimate(value: float, low: float, high: float, n: int = 1200) -> Estimate:
    return Estimate(value, low, high, n, 0.95, "bootstrap")


def found(measure: str, candidate: str | None, e: Estimate, status: Status, **more) -> Finding:
    better = more.pop("better", "lower")
    bound = more.pop("bound", None)
    params = {} if bound is None else {"bound": bound, "seed": 1}
    return Finding(measure, e, better, status, candidate=candidate, params=params, **more)


def curve() -> dict:
    ns = [50, 100, 200, 400, 800, 1600, 3200, 4800]
    scores = [0.772, 0.816, 0.846, 0.868, 0.886, 0.899, 0.909, 0.913]
    return {
        "metric": "AUC",
        "higher_is_better": True,
        "points": [
            {"n": n, "score": s, "low": s - 0.3 / n**0.5 * 0.5 - 0.004, "high": s + 0.3 / n**0.5 * 0.5 + 0.004}
            for n, s in zip(ns, scores, strict=True)
        ],
        "reference": {"n": 4800, "score": 0.913},
        "candidates": [
            {"name": "A", "rows": 10000, "score": 0.9085, "low": 0.904, "high": 0.913, "worth": 3010.0,
             "worth_low": 2150.0, "worth_high": None, "censored": False},
            {"name": "B", "rows": 10000, "score": 0.842, "low": 0.836, "high": 0.848, "worth": 182.0,
             "worth_low": 140.0, "worth_high": 236.0, "censored": False},
            {"name": "C", "rows": 10000, "score": 0.898, "low": 0.893, "high": 0.903, "worth": 1520.0,
             "worth_low": 1080.0, "worth_high": 2210.0, "censored": False},
        ],
    }  # fmt: skip


def sample_findings() -> tuple[Finding, ...]:
    ok, bad = Status.PASS, Status.FAIL
    floor = estimate(0.503, 0.489, 0.517)
    findings: list[Finding] = []
    for name, auc, gap, cover, utility in (
        ("A", 0.548, 0.018, 0.94, -0.0045), ("B", 0.913, 0.121, 0.85, -0.071), ("C", 0.571, 0.047, 0.0, -0.015),
    ):  # fmt: skip
        high = auc > 0.6
        findings += [
            found("two_sample_auc", name, estimate(auc, auc - 0.014, auc + 0.014), bad if high else ok, bound=0.6,
                  floor=floor, reason="trees tell most rows apart, by capital_gain and hours" if high else None),
            found("marginal_gap", name, estimate(gap, gap - 0.009, gap + 0.01), bad if gap > 0.1 else ok, bound=0.05,
                  floor=estimate(0.012, 0.004, 0.02), reason="widest in capital_gain"),
            found("slice_coverage", name, estimate(cover, max(cover - 0.06, 0), cover + 0.05),
                  bad if cover < 0.5 else ok, bound=0.8, better="higher", floor=estimate(0.97, 0.9, 1.04)),
            found("utility", name, estimate(utility, utility - 0.006, utility + 0.006),
                  bad if utility < -0.06 else ok, bound=-0.05, better="higher"),
            found("transfer_drop", name, estimate(0.02, 0.011, 0.029), ok, bound=0.05),
            found("copies", name, estimate(0.0, 0.0, 0.0003, 10000), ok, bound=0.001),
        ]  # fmt: skip
        findings.append(
            Finding("nearest_record", Unmeasured("no holdout is known to be unseen by the generator",
                    "split the real data, refit on the train part, compare with --holdout"), "lower",
                    Status.UNMEASURED, candidate=name))  # fmt: skip
    findings += [
        found("slice_coverage", "C", estimate(0.0, 0.0, 0.06, 412), bad, bound=0.8, better="higher",
              slice="sex=Female&age=50-60", reason="0 rows where 412 were due",
              evidence={"real_rows": 412, "example": {"age": 53, "sex": "Female", "occupation": "Sales"}}),
        found("slice_coverage", "C", estimate(0.0, 0.0, 0.3, 7), bad, bound=0.8, better="higher",
              slice="sex=Female&age=90+", reason="0 rows where 7 were due"),
        found("slice_coverage", "A", estimate(0.9, 0.6, 1.3, 61), Status.UNDECIDED, bound=0.8, better="higher",
              slice="race=Other", reason="too few rows to say"),
    ]  # fmt: skip
    for c in curve()["candidates"]:
        high = inf if c["worth_high"] is None else c["worth_high"]
        findings.append(
            found("real_equivalent_rows", c["name"], estimate(c["worth"], c["worth_low"], high), ok, better="higher")
        )
    findings.append(found("mix_gain", None, estimate(0.0042, 0.0018, 0.0066), ok, better="higher"))
    return tuple(findings)


def sample(*, findings: tuple[Finding, ...] | None = None, kind: str = "run", with_curve: bool = True) -> Result:
    findings = sample_findings() if findings is None else findings
    facts = Facts(
        kind=kind, n_train=4800, n_benchmark=1200, minority_train=1160, minority_benchmark=288,
        fitted_on={"A": "other", "B": "other", "C": "other"}, candidate_rows={"A": 10000, "B": 10000, "C": 10000},
        chosen=("A",) if with_curve else None,
    )  # fmt: skip
    return Result(
        kind=kind,
        decision=decide(findings, facts=facts, policy=load_policy(), today=TODAY),
        findings=findings,
        inputs=(
            InputRecord("census", 6000, "5f2c" * 16, "real", ("3 rows had no age and were kept",)),
            InputRecord("A", 10000, "a1b2" * 16, "synthetic"),
            InputRecord("B", 10000, "b3c4" * 16, "synthetic"),
            InputRecord("C", 10000, "c5d6" * 16, "synthetic", ("column 'race' lacks 'Other'",)),
        ),
        seed=1,
        policy="default 1",
        curve=curve() if with_curve else None,
        mix={
            "adopted": True,
            "sources": [
                {"name": "census", "origin": "real", "rows": 4800, "weight": 1.0},
                {"name": "A", "origin": "synthetic", "rows": 10000, "weight": 0.31},
                {"name": "B", "origin": "synthetic", "rows": 10000, "weight": 0.0},
                {"name": "C", "origin": "synthetic", "rows": 10000, "weight": 0.0},
            ],
            "gain": {"value": 0.0042, "low": 0.0018, "high": 0.0066, "level": 0.95},
            "confirmed": {"value": 0.0038, "low": -0.0006, "high": 0.0081, "level": 0.95},
        }
        if with_curve
        else None,
        cost={"cpu_seconds": 143.2, "trainings": 71},
        notes=("the benchmark was opened twice for this question",),
    )


def page(result: Result | None = None, audience="owner") -> str:
    return render(sample() if result is None else result, audience=audience, created="2026-11-24")


NASTY = "</script><img src=x onerror=alert(1)>&\"'"


class Outline(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += [(k, v or "") for k, v in attrs]

    def handle_data(self, data) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    return parser


def test_the_first_screen_is_verdict_sentence_and_picture() -> None:
    result = sample()
    html = page(result)
    body = outline(html)
    assert result.decision.verdict is Verdict.SHIP
    assert html.index("SHIP") < html.index('class="headline"') < html.index('class="chart wide"') < html.index("<h2")
    for words in ("A is worth at least 2,150 real rows (best estimate 3,010)", "C is refused", "good to use"):
        assert words in body.text
    assert body.tags.count("h1") == 1
    assert body.tags.count("title") == 3  # of the page, and of the two drawings
    assert body.tags.count("desc") == 2


def test_everything_an_engineer_needs_stands_below() -> None:
    text = outline(page()).text
    for words in ("D6", "not in the mix", "two_sample_auc", "[0.899, 0.927]", "0.503", "0.600", "412", "nearest_record",
                  "To mend: split the real data", "a1b2a1b2", "seed", "default 1", "0.310", "cpu seconds",
                  "3 rows had no age", "the benchmark was opened twice", "2026-11-24", "occupation"):  # fmt: skip
        assert words in text, words


def test_the_page_asks_nobody_for_anything() -> None:
    html = page()
    body = outline(html)
    assert "script" not in body.tags
    assert "default-src 'none'" in dict(body.attributes)["content"] or "default-src 'none'" in html
    links = [v for k, v in body.attributes if k in ("src", "href", "xlink:href", "srcset", "action", "data")]
    assert all(v.startswith(("#", "data:")) for v in links)
    assert "url(" not in html
    assert "@import" not in html
    assert not [k for k, _ in body.attributes if k.startswith("on")]
    ids = [v for k, v in body.attributes if k == "id"]
    assert len(ids) == len(set(ids))
    assert len(html.encode()) < 120_000


def nasty() -> Result:
    e = estimate(0.5, 0.4, 0.6)
    finding = Finding(NASTY, e, "lower", Status.FAIL, slice=NASTY, candidate=NASTY, reason=NASTY,
                      params={"bound": 0.1}, evidence={NASTY: NASTY})  # fmt: skip
    drawn = curve()
    drawn["metric"] = NASTY
    drawn["candidates"] = [
        {**drawn["candidates"][0], "name": NASTY},
        {"name": NASTY + "2", "score": None, "worth": None},
    ]
    plain = sample()
    rule = replace(
        plain.decision.rules[0], reason=NASTY, outcome=NASTY, candidate=NASTY, waived=NASTY, because=(NASTY,)
    )
    return replace(
        plain,
        decision=Decision(Verdict.FIX, NASTY, (rule,), (NASTY,)),
        findings=(finding, Finding(NASTY, Unmeasured(NASTY, NASTY), "lower", Status.UNMEASURED)),
        inputs=(InputRecord(NASTY, 3, NASTY, NASTY, (NASTY,)),),
        policy=NASTY,
        curve=drawn,
        mix={NASTY: NASTY, "sources": [{"name": NASTY, "origin": NASTY, "rows": 3, "weight": 1}]},
        cost={NASTY: [NASTY]},
        notes=(NASTY,),
        kind=NASTY,
    )


@pytest.mark.parametrize("audience", ["owner", "recipient"])
@pytest.mark.parametrize("picture", ["curve", "gaps"])
def test_names_and_reasons_of_strangers_are_only_text(audience: str, picture: str) -> None:
    result = nasty() if picture == "curve" else replace(nasty(), curve=None)
    html = render(result, audience=audience, created=NASTY)
    body = outline(html)
    assert "<img" not in html
    assert "</script" not in html
    assert not {"img", "script"} & set(body.tags)
    assert not [k for k, _ in body.attributes if k.startswith("on")]
    assert "onerror=alert(1)" in body.text


def test_a_recipient_learns_nothing_about_single_rows() -> None:
    html = page(audience="recipient")
    text = outline(html).text
    assert "recipient" in text
    for secret in ("Sales", "occupation", "where 7 were due", "3 rows had no age", "Evidence"):
        assert secret not in text, secret
        assert secret in outline(page()).text or secret == "where 7 were due"
    assert "<10 rows had no age" in text
    assert "0 rows where <10 were due" in text
    assert "412 were due" in text
    assert "[0, 0.300]" not in text  # the value of the slice of 7 records
    small = sample(findings=(found("copies", "A", estimate(0.1, 0.0, 0.2, 9), Status.PASS),))
    assert "rests on fewer than 10 records" in outline(page(small, "recipient")).text
    tiny = replace(sample(), inputs=(InputRecord("tiny", 7, "ab"),))
    assert "<10" in outline(page(tiny, "recipient")).text


def test_tables_stand_on_the_page_and_a_recipient_sees_only_those_meant_for_all() -> None:
    result = replace(
        sample(),
        tables=(
            Table("What was tried", ("mix", "rows", "gain"), (("A <b>", 7, 0.01), ("B", 70, None)), "Best first: 3."),
            Table("Rows out of reach", ("who",), (("Ada Lovelace",),), owner_only=True),
        ),
    )
    owner, recipient = outline(page(result)).text, outline(page(result, "recipient")).text
    assert "What was tried" in owner
    assert "A <b>" in owner
    assert "Ada Lovelace" in owner
    assert "What was tried" in recipient
    assert "Ada Lovelace" not in recipient
    assert "<10" in recipient


@pytest.mark.parametrize(
    ("sentence", "masked"),
    [
        ("3 rows", "<10 rows"),
        ("of 41, 7.", "of 41, <10."),
        ("(2 of 9)", "(<10 of <10)"),
        ("0.5, 1.2 and 10 rows", "0.5, 1.2 and 10 rows"),
        ("age=4 in [1, 3]", "age=4 in [1, 3]"),
        ("vendor-2, D2, 5 %, 5%, 2026-11-04", "vendor-2, D2, 5 %, 5%, 2026-11-04"),
        ("n = 7", "<10"),
        ("0 rows", "0 rows"),
    ],
)
def test_small_counts_in_sentences_are_made_vague(sentence: str, masked: str) -> None:
    assert mask(sentence) == masked


def boxes(drawing: str, layout) -> list[tuple[float, float, float, float]]:
    """Where the words of a drawing stand, by the same generous width the layout assumes."""
    found = []
    for x, y, anchor, words in re.findall(
        r'<text x="([\d.-]+)" y="([\d.-]+)"[^>]*?(middle|end)?"?>([^<]*)</text>', drawing
    ):
        width = len(words.replace("&lt;", "<").replace("&amp;", "&")) * layout.font * 0.5
        left = float(x) - {"middle": width / 2, "end": width, "": 0.0}[anchor]
        found.append((left, float(y) - layout.font * 0.7, left + width, float(y)))
    return found


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_labels_never_collide(layout, n: int) -> None:
    data = curve()
    one = data["candidates"][0]
    data["candidates"] = [{**one, "name": f"v{i}", "worth": 3000.0 + i, "score": 0.9085 + i / 1e4} for i in range(n)]
    drawn = _drawing(parse_curve(data), {}, layout, key="k")
    placed = boxes(drawn, layout)
    assert len(placed) > 5 + 4 * n
    for i, a in enumerate(placed):
        assert a[0] >= -0.5, a
        assert a[2] <= layout.width + 0.5, a
        for b in placed[i + 1 :]:
            assert not svg.overlap(a, b), (a, b)


def test_the_curve_is_never_read_beyond_its_ends() -> None:
    data = curve()
    base = data["candidates"][0]
    data["candidates"] = [
        {**base, "name": "above", "worth": None, "worth_low": 4800.0, "worth_high": None, "censored": True},
        {**base, "name": "below", "worth": 0.0, "worth_low": 0.0, "worth_high": 50.0, "score": 0.6},
        {**base, "name": "unknown", "worth": None, "worth_low": None},
    ]
    text = outline(page(replace(sample(), curve=data))).text
    assert "at least 4,800 real rows" in text
    assert "fewer than 50 real rows" in text
    assert "Not placed: unknown" in text
    for x in re.findall(r'(?:cx|x1|x2)="([\d.-]+)"', learning_curve(parse_curve(data), {})):
        assert -0.5 <= float(x) <= 1000.5


def test_curves_that_cannot_be_drawn_are_left_out() -> None:
    assert parse_curve(None) is None
    for points in ([], [{"n": 100, "score": 0.8}], [{"n": 0, "score": 1}, {"n": 5, "score": None}], "x"):
        assert parse_curve({"points": points}) is None
    flat = {"points": [{"n": 10, "score": 0.5}, {"n": 20, "score": 0.5}], "candidates": []}
    assert "<svg" in learning_curve(parse_curve(flat), {})
    assert "<figure" in page(replace(sample(), curve=flat))


def test_ticks_are_round_and_inside() -> None:
    for low, high in ((0.71, 0.93), (0.5, 0.5001), (-3.2, 7.0), (0.9, 0.99)):
        ticks = score_ticks(low, high)
        assert 1 <= len(ticks) <= 7
        assert all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)
    assert row_ticks(90, 5400) == [100, 200, 500, 1000, 2000, 5000]


def test_without_a_curve_the_gaps_are_drawn() -> None:
    result = sample(kind="compare", with_curve=False)
    html = page(result)
    assert "Gaps to the real data" in html
    assert "as two real halves differ" in html
    assert "2 slices" in outline(html).text
    assert forest([], {}) == ""
    ratio = found("slice_coverage", "v", estimate(0.95, 0.9, 1.0), Status.PASS, bound=0.8, better="higher")
    worse = replace(ratio, result=estimate(0.78, 0.7, 0.85), status=Status.FAIL)
    x = [
        float(re.search(r'cx="([\d.]+)"', forest([f], {})).group(1))
        for f in (ratio, replace(worse, status=Status.WARN))
    ]
    assert x[0] < x[1]  # farther right is worse, whichever way the measure counts
    no_bound = replace(ratio, params={})
    assert forest([no_bound], {}) == ""


@pytest.mark.parametrize("audience", ["owner", "recipient"])
def test_the_smallest_result_is_a_page_too(audience: str) -> None:
    empty = Result("check", Decision(Verdict.SHIP, "p 1", ()), (), (), 0, "p 1")
    html = render(empty, audience=audience, created="")
    assert "No rule had anything to say" in html
    assert "<figure" not in html


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_has_a_word_and_a_shape(verdict: Verdict) -> None:
    html = page(replace(sample(), decision=replace(sample().decision, verdict=verdict)))
    head = html[html.index("<h1") : html.index("</h1>")]
    assert verdict.value.replace("_", " ") in head
    (sign,) = re.findall(r'href="#(i-\w+)"', head)
    assert f'<symbol id="{sign}"' in html


def test_a_page_is_the_same_after_the_envelope() -> None:
    result = sample()
    assert page(parse_result(result.as_json())) == page(result)
    assert pickle.loads(pickle.dumps(result)) == result


def contrast(a: str, b: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(a), light(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_text_colour_meets_wcag_aa_in_light_and_dark() -> None:
    style = page()
    schemes = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[:2]
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", scheme))
        for ground in ("page", "card", "bad-tint"):
            for ink in ("ink", "soft", "accent", "go", "mend", "open", "stop"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert contrast(colours["silver"], colours["card"]) >= 3.0  # lines and marks


def test_numbers_read_like_numbers() -> None:
    assert [number(x) for x in (0.5, 1234.5, -0.02, 0.0, 1e-9, inf)] == ["0.500", "1,234", "−0.020", "0", "1e-09", "∞"]
