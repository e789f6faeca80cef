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
from sterling.report import render
from sterling.report import svg
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
