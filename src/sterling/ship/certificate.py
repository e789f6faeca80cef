"""A certificate: what the owner of a benchmark says of somebody else's set, signed, with no row in it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sterling.kernel.audience import FEWEST, step
from sterling.kernel.errors import InputError, UnreadableInput
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Decision, Finding, Json, RuleOutcome, Status
from sterling.ship.sign import ALGORITHM, SigningKey, canonical, fingerprint, is_signed
from sterling.sources.atomic import write_text
from sterling.stats.bounds import normal_quantile

FORMAT = "sterling-certificate"
VERSION = 1
# What a certificate holds; a list is one of objects.
PARTS: dict[str, type] = {
    "format": str, "version": int, "sterling": str, "issued": str, "seed": int, "policy": dict, "question": dict,
    "benchmark": dict, "set": dict, "verdict": str, "rules": list, "findings": list, "unmeasured": dict,
    "withheld": dict,
}  # fmt: skip
SIGNATURE = ("algorithm", "public_key", "key_fingerprint", "value")
# Findings on distributions, models and coverage: a guess counts in them as the one real row it is, however often the
# other party repeats it. Any other finding, a plug-in's too, is about single real rows.
AGGREGATES = frozenset(
    {
        "two_sample_auc", "marginal_gap", "correlation_gap", "embedding_gap", "slice_coverage", "coverage",
        "duplicates", "hapax", "distinct_n", "representation", "outcome_gap", "amplification", "utility",
        "transfer_drop", "calibration",
    }
)  # fmt: skip
# A failure that is about single real rows is told once it concerns so many of them: how many it takes lies between
# these two, and only the holder of the key knows where. At a number that is known, nine people who are known to be in
# the data would tell of a tenth.
CONCERNED = (FEWEST, 2 * FEWEST)
WITHHELD = "withheld"
AS_WRITTEN = "ask for the certificate again, as the file that judge-here wrote"
ALTERED = "the certificate was altered after it was signed, or signed by another key"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate whose signature holds.

    Args:
        body: what was signed.
        public_key: the 32 bytes of the key that signed it.
        signature: 64 bytes.
    """

    body: Mapping[str, Any]
    public_key: bytes
    signature: bytes

    @property
    def key_fingerprint(self) -> str:
        """How people compare the key."""
        return fingerprint(self.public_key)

    def text(self) -> str:
        """The file: canonical, but for line breaks and indents."""
        signature = {
            "algorithm": ALGORITHM,
            "public_key": self.public_key.hex(),
            "key_fingerprint": self.key_fingerprint,
            "value": self.signature.hex(),
        }
        whole = {"certificate": dict(self.body), "signature": signature}
        return json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def issue(body: Mapping[str, Json], key: SigningKey) -> Certificate:
    """Sign a body that has all its parts."""
    missing = [part for part in PARTS if part not in body]
    if missing:
        raise ValueError(f"a certificate without {', '.join(missing)}")
    # Through JSON and back, so that what is signed is what a reader will read.
    plain = json.loads(canonical(dict(body)))
    return Certificate(plain, key.public, key.sign(plain))


def write_certificate(certificate: Certificate, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        InputError: if it cannot be written.
    """
    write_text(path, certificate.text())


def read_certificate(path: Path) -> Certificate:
    """Read a certificate and check that not a byte of it was changed since it was signed.

    Raises:
        MissingExtra: without the `cryptography` package.
        UnreadableInput: if there is no such file, it ends early, or it is no certificate.
        InputError: if it was altered, its signature does not hold, or it comes from a newer Sterling.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise UnreadableInput(f"cannot read the certificate {path}: {err}", mend=AS_WRITTEN) from err
    whole = _parsed(text, path)
    certificate = _checked(whole, path)
    if certificate.text() != text:
        raise InputError(
            f"{path} is not byte for byte what was signed: it was altered or written anew", mend=AS_WRITTEN
        )
    return certificate


def commitment(key: SigningKey, *prints: str) -> str:
    """Hash of fingerprints with a salt that only the holder of the key knows.

    Small sets cannot be guessed from it, two certificates for the same rows under the same key agree, and the
    holder can open it later by showing the salt alone.
    """
    joined = "\n".join(prints)
    return hashlib.sha256(key.salt(joined) + joined.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Tellable:
    """What may be told of the findings, and what the verdict of a certificate may hang on.

    Args:
        findings: those told in full, and failures that concern enough real rows.
        silent: findings about single real rows of which not even the status is told.
        slices: how many findings on distributions within slices are left out.
    """

    findings: tuple[Finding, ...]
    silent: tuple[Finding, ...]
    slices: int

    @property
    def silent_measures(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted({found.measure for found in self.silent}))


def enough(key: SigningKey, *about: str) -> int:
    """How many real rows a failure must concern to be told: the same for the same words, known to the key alone."""
    low, high = CONCERNED
    return low + key.salt("\n".join(("enough", *about)))[0] % (high - low + 1)


def tellable(
    findings: Sequence[Finding], *, slices: Mapping[str, int], private: bool, least: int = CONCERNED[1]
) -> Tellable:
    """Sort the findings into those a certificate may tell and those it may not.

    Args:
        findings: with their evidence, which says how many real rows a failure concerns.
        slices: by slice, how many rows it has, for slices that the other party can name himself. Others may name a
            value or a range of the real rows, and are only counted.
        private: under a privacy policy no slice is told.
        least: real rows that a failure about single rows must concern; see `enough`.
    """
    told: list[Finding] = []
    silent: list[Finding] = []
    left_out = 0
    for found in findings:
        if found.status is Status.NOT_APPLICABLE:
            continue
        aggregate = found.measure in AGGREGATES
        if found.slice is not None:
            known = min(slices.get(found.slice, 0), _rows(found)) >= FEWEST
            if aggregate and known and not private:
                told.append(found)
            elif aggregate:  # how many findings there are about single rows is about single rows too
                left_out += 1
        elif aggregate or found.status is Status.UNMEASURED:
            told.append(found)
        else:
            surely = found.status is Status.FAIL and concerned(found) >= least
            (told if surely else silent).append(found)
    return Tellable(tuple(told), tuple(silent), left_out)


def concerned(found: Finding) -> float:
    """Different real rows that a finding concerns beyond those that chance explains; 0 where nobody counted them.

    Repeating a row, or many rows around one, does not add to it.
    """
    seen = found.evidence
    match found.measure, found.result:
        case "copies", _:
            looks = seen.get("unique_rows")
            last = (
                looks[-1] if isinstance(looks, list) and looks else None
            )  # all records that are the only of their kind
            return _excess(last, "copied", "expected") if isinstance(last, dict) else 0.0
        case "near_copies", _:
            return _excess(seen, "copied", "expected")
        case "linkability", _:
            return _excess(seen, "train_linked", "control_linked")
        case "nearest_record", Estimate() as result if result.value < result.high < 1.0:
            # The records win k of k coins if the share is k**.5 standard errors above one half.
            error = (result.high - result.value) / normal_quantile((1 - result.level) / 2)
            return ((result.value - 0.5) / error) ** 2 if result.value > 0.5 else 0.0
        case _:
            return 0.0


def allowed(told: Tellable, *, slices: Mapping[str, int], real: int) -> tuple[list[Json], dict[str, Json]]:
    """The findings as a certificate tells them: name, status, value and interval; no reason, evidence or example.

    Args:
        told: what may be told.
        slices: by slice, how many rows it has.
        real: rows of the smallest real set that was looked at: no number is finer than ten of them.

    Returns:
        The findings, and what was withheld; slices are counted in tens. What is about single real rows has no number.
    """
    lines: list[Json] = []
    for found in told.findings:
        rows = real if found.slice is None else min(real, slices.get(found.slice, 0))
        lines.append(_told(found, rows) if found.measure in AGGREGATES else _bare(found, found.status.value))
    once = {found.measure: found for found in told.silent}
    lines += [_bare(found, WITHHELD) for found in once.values()]
    tens = told.slices - told.slices % FEWEST
    few_slices: Json = tens if tens or not told.slices else f"<{FEWEST}"
    return lines, {
        "slices": few_slices,
        "measures": [*told.silent_measures],
        "told_from": f"{CONCERNED[0]} to {CONCERNED[1]}",
    }


def told_rules(decision: Decision, book: Mapping[str, str]) -> list[Json]:
    """Every rule that spoke, in the rulebook's own words: its reason may name values of the real rows."""
    return [_told_rule(rule, book.get(rule.rule, "")) for rule in decision.rules]


def few(n: int) -> Json:
    """A count that a recipient may see.

    >>> few(1200), few(7), few(0)
    (1200, '<10', 0)
    """
    return f"<{FEWEST}" if 0 < n < FEWEST else n


def _rows(found: Finding) -> int:
    """Rows a finding rests on; 0 for one that could not be measured, or is withheld."""
    return found.result.n if isinstance(found.result, Estimate) else 0


def _told_rule(rule: RuleOutcome, about: str) -> dict[str, Json]:
    return {
        "rule": rule.rule,
        "outcome": rule.outcome,
        "verdict": None if rule.verdict is None else rule.verdict.value,
        "about": about,
        "measures": [*sorted({name.partition(":")[0] for name in rule.because})],
        "waived": rule.waived is not None,
    }


def _excess(seen: Mapping[str, Json], found: str, natural: str) -> float:
    counts = [seen.get(found), seen.get(natural)]
    many = [float(c) for c in counts if isinstance(c, (int, float))]
    return many[0] - many[1] if len(many) == len(counts) else 0.0


def _bare(found: Finding, status: str) -> dict[str, Json]:
    """A finding without its number."""
    bound = found.params.get("bound")
    return {
        "measure": found.measure,
        "slice": found.slice,
        "status": status,
        "better": found.better,
        "bound": bound if isinstance(bound, (int, float)) and math.isfinite(bound) else None,
        "value": None, "low": None, "high": None, "level": None,
    }  # fmt: skip


def _told(found: Finding, real: int) -> dict[str, Json]:
    line, result = _bare(found, found.status.value), found.result
    if not isinstance(result, Estimate):
        return line
    grid = step(min(real, result.n))
    numbers: dict[str, Json] = {
        "value": _on_grid(round(result.value / grid), grid),
        "low": _on_grid(math.floor(result.low / grid), grid) if math.isfinite(result.low) else None,
        "high": _on_grid(math.ceil(result.high / grid), grid) if math.isfinite(result.high) else None,
    }
    return {**line, **numbers, "level": result.level}


def _on_grid(steps: int, grid: float) -> float:
    return round(steps * grid, 4) + 0.0  # -0.0 is 0.0


def _parsed(text: str, path: Path) -> Any:
    def refuse(name: str) -> Any:
        raise InputError(f"{path} holds {name}, which no certificate does", mend=AS_WRITTEN)

    try:
        return json.loads(text, parse_constant=refuse)
    except (json.JSONDecodeError, RecursionError) as err:
        why = "ends in the middle" if not text.rstrip().endswith("}") else f"is no JSON: {err}"
        raise UnreadableInput(f"the certificate {path} {why}", mend=AS_WRITTEN) from err
    except ValueError as err:  # a whole number of thousands of digits
        raise UnreadableInput(f"the certificate {path} holds a number nobody can read: {err}", mend=AS_WRITTEN) from err


def _checked(whole: Any, path: Path) -> Certificate:
    """The certificate in the parsed file, if its signature holds."""
    if not isinstance(whole, dict) or set(whole) != {"certificate", "signature"}:
        raise UnreadableInput(f"{path} is no certificate of Sterling", mend="name a file that judge-here wrote")
    body, signature = whole["certificate"], whole["signature"]
    if not isinstance(body, dict) or body.get("format") != FORMAT or not isinstance(signature, dict):
        raise UnreadableInput(f"{path} is no certificate of Sterling", mend="name a file that judge-here wrote")
    version = body.get("version")
    if isinstance(version, int) and version > VERSION:
        raise InputError(
            f"{path} is a certificate of version {version}; this Sterling knows {VERSION}",
            mend="pip install -U sterling",
        )
    if signature.get("algorithm") != ALGORITHM or set(signature) != set(SIGNATURE):
        raise InputError(f"{path} is not signed with {ALGORITHM} alone", mend=AS_WRITTEN)
    public, value = (_unhex(signature[name]) for name in ("public_key", "value"))
    if public is None or value is None or not is_signed(body, signature=value, public=public):
        raise InputError(f"{path}: the signature does not hold: {ALTERED}", mend=AS_WRITTEN)
    wrong = [part for part, kind in PARTS.items() if not _is_kind(body.get(part), kind)]
    if wrong:
        raise InputError(f"{path} is signed, and its {', '.join(wrong)} cannot be read", mend=AS_WRITTEN)
    return Certificate(body, public, value)


def _is_kind(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and (kind is not list or all(isinstance(item, dict) for item in value))


def _unhex(text: Any) -> bytes | None:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else None
    except ValueError:
        return None
