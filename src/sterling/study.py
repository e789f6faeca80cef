"""study.toml, parsed once into frozen types; nothing downstream sees text.

Relative paths are relative to the study file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sterling.kernel.errors import InputError, UnknownName, UnreadableInput

Stakes = Literal["low", "consequential"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RealData(_Strict):
    """[real]: the data you hold."""

    path: str
    target: str | None = None
    groups: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    entity: str | None = None
    time: str | None = None
    holdout: str | None = None
    schema_file: str | None = Field(default=None, alias="schema")


class Candidate(_Strict):
    """[[candidate]]: a file you were given, or a generator to run."""

    name: str = Field(min_length=1, pattern=r"^[^/\\\x00-\x1f]+$")
    path: str | None = None
    fitted_on: Literal["real", "other", "unknown"] = "unknown"
    generator: str | None = None
    rows: int | None = Field(default=None, gt=0)
    set: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_origin(self) -> Candidate:
        if (self.path is None) == (self.generator is None):
            raise ValueError(f"candidate {self.name!r} needs either path or generator")
        if self.generator is not None and self.rows is None:
            raise ValueError(f"candidate {self.name!r} has a generator and needs rows")
        return self


class LearnerChoice(_Strict):
    """[learner]: the model the data is for."""

    name: str = "boosted_trees"
    settings: dict[str, str | int | float | bool] = Field(default_factory=dict)
    command: str | None = None
    time_limit: float | None = Field(default=None, gt=0)


class Waiver(_Strict):
    """[[policy.waivers]]: a named exception, visible in every result."""

    rule: str
    reason: str = Field(min_length=1)
    until: str
    by: str


class PolicyChoice(_Strict):
    """[policy]: which rules decide."""

    preset: str | None = None
    path: str | None = None
    stakes: Stakes = "low"
    declares: tuple[Literal["regional", "expert", "safety", "subjective"], ...] = ()
    required: tuple[str, ...] | None = None
    waivers: tuple[Waiver, ...] = ()


_AtLeastZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(_Strict):
    """[prices]: what things cost, in one currency; unknown prices stay unknown, and are asked for.

    Attributes:
        currency: a name to print; none is printed where none is stated.
        real_row: one more real row, collected and labelled.
        synthetic_row: one synthetic row, beside the machine time and tokens that the ledger counts; 0 if nothing. A
            table gives each candidate its own.
        tokens: a million tokens of a language model.
        review_hour: an hour of a reviewer.
        review_seconds: seconds that a reviewer needs for a record, where they were not measured.
        cpu_hour: an hour of one processor core.
        gpu_hour: an hour of one GPU.
        rework_row: mending one row that was thrown out.
        gain_row: what one more real row's worth brings you; without it nothing says when to stop buying.
    """

    currency: str | None = Field(default=None, min_length=1, max_length=12)
    real_row: _AtLeastZero | None = None
    synthetic_row: _AtLeastZero | dict[str, _AtLeastZero] | None = None
    tokens: _AtLeastZero | None = None
    review_hour: _AtLeastZero | None = None
    review_seconds: _AtLeastZero | None = None
    cpu_hour: _AtLeastZero | None = None
    gpu_hour: _AtLeastZero | None = None
    rework_row: _AtLeastZero | None = None
    gain_row: _AtLeastZero | None = None

    def known(self) -> dict[str, float]:
        """The prices that are known, by name; a candidate's own row price as "synthetic_row:NAME"."""
        found: dict[str, float] = {
            k: v for k, v in self.model_dump(exclude={"currency", "synthetic_row"}).items() if v is not None
        }
        if isinstance(self.synthetic_row, dict):
            found |= {f"synthetic_row:{name}": price for name, price in self.synthetic_row.items()}
        elif self.synthetic_row is not None:
            found["synthetic_row"] = self.synthetic_row
        return found


_Level = str | int | float | bool
# By kind: what it needs, and what it may have beside.
_ANALYSES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "linear": (("outcome", "terms"), ("reference",)),
    "logistic": (("outcome", "terms"), ("reference", "event")),
    "poisson": (("outcome", "terms"), ("reference", "exposure")),
    "cox": (("time", "status", "terms"), ("reference", "event")),
    "survival": (("time", "status", "at"), ("by", "event")),
    "difference": (("outcome", "by"), ("reference", "event")),
}


class Analysis(_Strict):
    """[[analysis]]: one of the user's own analyses, to be run on real and on synthetic rows.

    Attributes:
        kind: linear, logistic, poisson or cox regression; survival curves; a difference of group means or shares.
        name: how tables call it; the kind and the outcome by default.
        outcome: the column to explain.
        event: the level that counts as 1, or as the event; by default the last of two in reading order.
        time: column of the time until the event, or until the row was last seen.
        status: column that says whether it was the event.
        terms: columns; "a:b" is an interaction.
        reference: by category, the level that the others are held against; the commonest by default.
        by: column of the groups.
        at: times at which survival curves are read.
        exposure: column of the time or people at risk, for rates.
        where: conditions that a row must meet, such as "age >= 30".
    """

    kind: Literal["linear", "logistic", "poisson", "cox", "survival", "difference"]
    name: str | None = Field(default=None, min_length=1, pattern=r"^[^=&\x00-\x1f]+$")
    outcome: str | None = None
    event: _Level | None = None
    time: str | None = None
    status: str | None = None
    terms: tuple[str, ...] = ()
    reference: dict[str, _Level] = Field(default_factory=dict)
    by: str | None = None
    at: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    exposure: str | None = None
    where: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Analysis:
        needed, allowed = _ANALYSES[self.kind]
        given = {k for k in self.model_fields_set if getattr(self, k) not in (None, (), {})}
        lacking = [k for k in needed if k not in given]
        if lacking:
            raise ValueError(f"a {self.kind} analysis needs {', '.join(lacking)}")
        strange = sorted(given - {*needed, *allowed, "kind", "name", "where"})
        if strange:
            raise ValueError(f"a {self.kind} analysis has no {', '.join(strange)}")
        return self

    @property
    def title(self) -> str:
        """How tables call it."""
        return self.name or f"{self.kind} {self.outcome or self.status}"


def _titles_are_unique(analyses: tuple[Analysis, ...]) -> tuple[Analysis, ...]:
    titles = [a.title for a in analyses]
    twice = sorted({t for t in titles if titles.count(t) > 1})
    if twice:
        raise ValueError(f"analyses share the name {twice[0]!r}: give each a name of its own")
    return analyses


_Analyses = Annotated[tuple[Analysis, ...], AfterValidator(_titles_are_unique)]


class Plan(_Strict):
    """A file of analyses alone."""

    analysis: _Analyses


class Study(_Strict):
    """A whole study file."""

    name: str = "study"
    seed: int = 0
    effort: Literal["full", "fast"] = "full"
    real: RealData
    candidate: tuple[Candidate, ...] = Field(min_length=1)
    learner: LearnerChoice = LearnerChoice()
    policy: PolicyChoice = PolicyChoice()
    prices: Prices = Prices()
    analysis: _Analyses = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Study:
        seen = [c.name for c in self.candidate]
        if len(set(seen)) != len(seen):
            raise ValueError(f"candidate names are not unique: {', '.join(seen)}")
        return self


def read_study(path: Path) -> Study:
    """Parse and check a study file.

    Raises:
        UnreadableInput: if there is no such file, or it is no TOML.
        InputError: naming every key that is wrong, with the nearest right one.
    """
    data = _toml(path, what="the study", mend="name an existing study.toml")
    try:
        study = Study.model_validate(data)
    except ValidationError as err:
        raise InputError(_sentence(path, mistakes(err, data)), mend="see docs/study.md for every key") from err
    return _rooted(study, path.parent)


def _toml(path: Path, *, what: str, mend: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise UnreadableInput(f"cannot read {what} {path}: {err.strerror or 'no reason given'}", mend=mend) from err
    except UnicodeDecodeError as err:
        raise UnreadableInput(f"cannot read {what} {path}: it is no UTF-8 text", mend=mend) from err
    except tomllib.TOMLDecodeError as err:
        raise UnreadableInput(f"{path} is no TOML: {err}", mend="mend that line") from err


def _sentence(path: Path, found: tuple[str, ...]) -> str:
    count = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
    return "\n".join([f"{path} has {count}:", *(f"  {line}" for line in found)])


def mistakes(error: ValidationError, data: Any, *, inside: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Each place that is wrong, once, in plain words.

    Args:
        error: what the check found.
        data: what was checked.
        inside: tables that `data` stands in, outermost first.
    """
    found: dict[str, list[str]] = {}
    for item in error.errors():
        where = ".".join((*inside, *_place(item["loc"], data, missing=item["type"] == "missing"))) or "study"
        if item["type"] == "extra_forbidden":
            text = UnknownName.among(str(item["loc"][-1]), _keys_near((*inside, *item["loc"])), what="key").mend
        else:
            text = _plain(item["type"], item["msg"], item.get("ctx", {}), item["input"])
        found.setdefault(where, []).append(text)
    return tuple(f"{where}: {'; or '.join(dict.fromkeys(texts))}" for where, texts in found.items())


def _place(loc: tuple[int | str, ...], data: Any, *, missing: bool) -> list[str]:
    """The keys that lead there, without the marks of the alternatives that were tried on the way."""
    keys: list[str] = []
    for i, part in enumerate(loc):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            if not (missing and i == len(loc) - 1):
                continue
        keys.append(str(part))
    return keys


# What a check says, by its kind; {value} is what stands there.
_WORDS: Mapping[str, str] = {
    "missing": "is needed",
    "float_parsing": "must be a number, not {value}",
    "float_type": "must be a number, not {value}",
    "finite_number": "must be a finite number, not {value}",
    "int_parsing": "must be a whole number, not {value}",
    "int_type": "must be a whole number, not {value}",
    "int_from_float": "must be a whole number, not {value}",
    "bool_type": "must be true or false, not {value}",
    "bool_parsing": "must be true or false, not {value}",
    "string_type": "must be a text in quotes, not {value}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters, not {value}",
    "string_pattern_mismatch": "must hold no slash, backslash or control character, as {value} does",
    "too_short": "needs at least {min_length}",
    "greater_than": "must be more than {gt:g}, not {value}",
    "greater_than_equal": "must be at least {ge:g}, not {value}",
    "literal_error": "must be {expected}, not {value}",
    "tuple_type": "must be a list in [ ], not {value}",
    "dict_type": "must be a table, not {value}",
    "model_type": "must be a table, not {value}",
}


def _plain(kind: str, said: str, terms: Mapping[str, Any], value: Any) -> str:
    if kind == "value_error":
        return said.removeprefix("Value error, ")
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return _WORDS.get(kind, "cannot be {value}").format(**{**terms, "value": shown})


def _keys_near(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are known where an unknown one stood."""
    model: Any = Study
    tables = {
        "real": RealData, "candidate": Candidate, "learner": LearnerChoice, "policy": PolicyChoice,
        "prices": Prices, "waivers": Waiver, "analysis": Analysis,
    }  # fmt: skip
    for part in loc[:-1]:
        model = tables.get(str(part), model)
    return [f.alias or name for name, f in model.model_fields.items()]


def _rooted(study: Study, folder: Path) -> Study:
    """The same study with its relative paths made relative to the study file."""

    def at(text: str | None) -> str | None:
        return None if text is None else str(folder / text)

    real = study.real.model_copy(
        update={
            "path": at(study.real.path),
            "holdout": at(study.real.holdout),
            "schema_file": at(study.real.schema_file),
        }
    )
    candidates = tuple(c.model_copy(update={"path": at(c.path)}) for c in study.candidate)
    policy = study.policy.model_copy(update={"path": at(study.policy.path)})
    return study.model_copy(update={"real": real, "candidate": candidates, "policy": policy})


def read_analyses(path: Path) -> tuple[Analysis, ...]:
    """The [[analysis]] tables of a TOML file, which may be a study.

    Raises:
        UnreadableInput: if there is no such file, or it is no TOML.
        InputError: naming every key that is wrong, or that there is no analysis.
    """
    data = _toml(path, what="the analyses", mend="name an existing TOML file with [[analysis]] tables")
    table = {"analysis": data.get("analysis")}
    if not table["analysis"]:
        raise InputError(f"{path} names no analysis", mend="add an [[analysis]] table; see docs/analyses.md")
    try:
        return Plan.model_validate(table).analysis
    except ValidationError as err:
        raise InputError(_sentence(path, mistakes(err, table)), mend="see docs/analyses.md for every key") from err


def read_prices(path: Path) -> Prices:
    """The [prices] table of a TOML file, which may be a study; a file of bare keys will do as well.

    Raises:
        UnreadableInput: if there is no such file, or it is no TOML.
        InputError: naming every key that is wrong, with the nearest right one.
    """
    data = _toml(path, what="the prices", mend="name an existing TOML file with a [prices] table")
    table = data.get("prices", {k: v for k, v in data.items() if not isinstance(v, (dict, list))})
    try:
        return Prices.model_validate(table)
    except ValidationError as err:
        found = mistakes(err, table, inside=("prices",))
        raise InputError(_sentence(path, found), mend="see docs/cost.md for every price") from err
