"""Policy TOML: found, laid over the preset it extends, and read key by key with errors that help."""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sterling.decide.rulebook import RULES, known_measures
from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.kernel.finding import Verdict

FOLDER = Path(__file__).parent
# Every table and its keys; None: the keys are names of measures or commands, checked where they are read.
KEYS: Mapping[str, tuple[str, ...] | None] = MappingProxyType(
    {
        "name": (), "version": (), "about": (), "extends": (), "stakes": (), "purpose": (), "declares": (),
        "false_alarms": ("alpha",),
        "bounds": None,
        "required": None,
        "decisive": ("measures",),
        "informs": ("measures",),
        "benchmark": ("difference", "discordant", "minority_rows", "leaked_share"),
        "mix": ("se_factor", "no_effect"),
        "loops": ("replace", "keep", "fresh_rows", "least_rows", "deep"),
        "order": ("se_factor",),
        "review": ("error_max", "agreement", "kappa", "required", "random_share", "overlap", "credentials"),
        "rare": ("few", "fewest"),
        "worth": ("stop_below",),
        "utility": ("judge",),
        "labels": ("random",),
        "bias": ("broken",),
        "gate": ("allow", "worse"),
        "waiver": (),
    }
)  # fmt: skip
KINDS = (
    "compare", "worth", "blend", "run", "check", "demo", "drill", "collapse", "order", "credit", "reach", "ceiling",
    "analyses",
)  # fmt: skip
# Measures of what is kept of the real set's share, where a bound of 0 would tolerate everything.
SHARES_KEPT = ("slice_coverage", "representation", "rare_modes", "unique_values", "hapax", "distinct_n")
# Measures whose number is an area under the curve, where one half is chance.
AREAS = ("two_sample_auc", "membership_inference", "canaries")
MEND = "see `sterling list rules` and the comments in the preset default.toml"


def preset_names() -> tuple[str, ...]:
    """The presets that ship with Sterling."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def layered(which: str | Path) -> PolicyFile:
    """A policy file laid over the preset it extends.

    Raises:
        UnknownName: for a name that is neither a preset nor a file.
        UnreadableInput: if the file cannot be read, or is no TOML.
    """
    path = _locate(which)
    own = _read(path)
    PolicyFile(path.name, own).check_keys()
    preset = path.parent == FOLDER
    named = own if preset else {"name": path.stem, "version": None, **own}
    if preset and path.stem == "default":
        return PolicyFile(path.name, named)
    parent = PolicyFile(path.name, own).data.get("extends", "default")
    if parent not in preset_names():
        raise UnknownName.among(str(parent), preset_names(), what=f"preset to extend ({path.name})")
    return PolicyFile(path.name, _over(layered(parent).data, named))


def _locate(which: str | Path) -> Path:
    if isinstance(which, str) and which in preset_names():
        return FOLDER / f"{which}.toml"
    path = Path(which)
    if path.suffix == ".toml" or path.exists():
        return path
    raise UnknownName.among(str(which), preset_names(), what="policy")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        presets = ", ".join(preset_names())
        raise UnreadableInput(
            f"cannot read policy {path}: {err}", mend=f"name a TOML file or one of {presets}"
        ) from err
    except tomllib.TOMLDecodeError as err:
        raise UnreadableInput(f"policy {path} is no TOML: {err}", mend="mend that line") from err


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, table by table."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        merged[key] = _over(lower, value) if isinstance(value, dict) and isinstance(lower, dict) else value
    return merged


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The tables of one policy; `where` names the file in errors."""

    where: str
    data: Mapping[str, Any]

    def check_keys(self) -> None:
        """Raise UnknownName for a table or key that no policy has."""
        for key, value in self.data.items():
            if key not in KEYS:
                raise UnknownName.among(key, KEYS, what=f"key of a policy ({self.where})")
            known = KEYS[key]
            if known is None or known:
                for inner in self.table(key):
                    if known is not None and inner not in known:
                        raise UnknownName.among(inner, known, what=f"key of [{key}] ({self.where})")
            elif isinstance(value, dict):
                raise InputError(f"{self.where}: {key} is a table, not a value", mend=MEND)

    def table(self, key: str) -> dict[str, Any]:
        """A table; an absent one is empty."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise InputError(f"{self.where}: {key} is {value!r}, not a table", mend=f"write it as [{key}]")
        return {str(k): v for k, v in value.items()}

    def at(self, path: str) -> Any:
        """The value at "table.key"."""
        table, _, key = path.rpartition(".")
        holder = self.table(table) if table else self.data
        if holder.get(key) is None:
            raise InputError(f"{self.where} states no {path}", mend='let the file extend a preset: extends = "default"')
        return holder[key]

    def text(self, path: str) -> str:
        """A string that is not empty."""
        value = self.at(path)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{self.where}: {path} is {value!r}, not text", mend=MEND)
        return value

    def choice(self, path: str, options: Sequence[str]) -> str:
        """One of a few words."""
        value = self.text(path)
        if value not in options:
            raise UnknownName.among(value, options, what=f"choice for {path} ({self.where})")
        return value

    def number(self, path: str, *, low: float, high: float) -> float:
        """A finite number within limits."""
        return self._number(self.at(path), path, low=low, high=high)

    def _number(self, value: Any, path: str, *, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError(f"{self.where}: {path} is {value!r}, not a number", mend=MEND)
        if not low <= value <= high:
            raise InputError(f"{self.where}: {path} is {value}, outside {low:g} to {high:g}", mend=MEND)
        return float(value)

    def count(self, path: str) -> int:
        """A whole number, zero or more."""
        value = self.at(path)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"{self.where}: {path} is {value!r}, not a whole number of 0 or more", mend=MEND)
        return value

    def _names(self, value: Any, path: str, known: Sequence[str], what: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise InputError(f"{self.where}: {path} is {value!r}, not a list of names", mend=f'{path} = ["..."]')
        for name in value:
            if name not in known:
                raise UnknownName.among(str(name), known, what=f"{what} for {path} ({self.where})")
        return tuple(str(name) for name in value)

    def words(self, path: str, options: Sequence[str]) -> tuple[str, ...]:
        """A list of a few words; absent is empty."""
        return self._names(self.data.get(path, []), path, options, "word")

    def measures(self, path: str) -> tuple[str, ...]:
        """A list of measures."""
        return self._names(self.at(path), path, known_measures(), "measure")

    def verdicts(self, path: str) -> tuple[str, ...]:
        """A list of verdicts."""
        return self._names(self.at(path), path, tuple(v.value for v in Verdict), "verdict")

    def bounds(self) -> dict[str, float]:
        """[bounds]: a tolerance per measure."""
        found: dict[str, float] = {}
        for name, value in self.table("bounds").items():
            if name not in known_measures():
                raise UnknownName.among(name, known_measures(), what=f"measure for [bounds] ({self.where})")
            found[name] = self._bound(name, value)
        return found

    def _bound(self, name: str, value: Any) -> float:
        """A tolerance that its measure can keep and can break."""
        path = f"bounds.{name}"
        if name not in SHARES_KEPT:
            return self._number(value, path, low=0.5 if name in AREAS else 0.0, high=1.0 if name in AREAS else 1e9)
        kept = self._number(value, path, low=-math.inf, high=math.inf)
        if not 0 < kept <= 1:  # what is kept of a share is never below 0: such a bound would pass every set
            mend = f"write what must be kept at least, above 0 and at most 1, such as {name} = 0.8"
            raise InputError(f"{self.where}: {path} is {kept:g}, outside 0 to 1", mend=mend)
        return kept

    def required(self) -> dict[str, tuple[str, ...]]:
        """[required]: by command, the measures that must be measured."""
        found: dict[str, tuple[str, ...]] = {}
        for kind, names in self.table("required").items():
            if kind not in (*KINDS, "all"):
                raise UnknownName.among(kind, KINDS, what=f"command for [required] ({self.where})")
            found[kind] = self._names(names, f"required.{kind}", known_measures(), "measure")
        return found

    def n_waivers(self) -> int:
        """How many [[waiver]] tables there are."""
        value = self.data.get("waiver", [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise InputError(f"{self.where}: waiver is not a list of tables", mend="write each as [[waiver]]")
        return len(value)

    def waiver(self, i: int) -> tuple[str, str, datetime.date, str]:
        """Rule, reason, last day and name of one waiver."""
        entry = PolicyFile(f"{self.where}: waiver {i + 1}", self.data["waiver"][i])
        for key in entry.data:
            if key not in ("rule", "measure", "reason", "until", "by"):
                raise UnknownName.among(key, ("rule", "measure", "reason", "until", "by"), what=f"key of {entry.where}")
        rule = entry.text("rule" if "rule" in entry.data else "measure")
        known = (*RULES, *known_measures())
        if rule.split(":")[0] not in known:
            raise UnknownName.among(rule, known, what=f"rule or measure ({entry.where})")
        return rule, entry.text("reason"), entry.day("until"), entry.text("by")

    def day(self, path: str) -> datetime.date:
        """A date, written as TOML date or as "YYYY-MM-DD"."""
        value = self.at(path)
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return value
        try:
            return datetime.date.fromisoformat(str(value))
        except ValueError as err:
            mend = f"write it as {path} = 2030-12-31"
            raise InputError(f"{self.where}: {path} is {value!r}, not a date", mend=mend) from err
