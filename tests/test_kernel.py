"""Known answers of the kernel: errors survive pickling, streams are named, envelopes are JSON."""

from __future__ import annotations

import json
import math
import pickle

import pytest

from sterling.kernel import errors, registry, seeds
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.extras import need
from sterling.kernel.finding import Finding, Status
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.kernel.task import Task


def all_errors() -> list[type[errors.SterlingError]]:
    found, todo = [], [errors.SterlingError]
    while todo:
        cls = todo.pop()
        found.append(cls)
        todo.extend(cls.__subclasses__())
    return found


@pytest.mark.parametrize("cls", all_errors())
def test_errors_say_how_to_mend_and_survive_pickling(cls: type[errors.SterlingError]) -> None:
    error = cls("age is -3", mend="drop the row")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert (again.message, again.mend) == ("age is -3", "drop the row")
    assert "To mend: drop the row" in str(again)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    schema = Schema((Field("income", Kind.CATEGORY), Field("age", Kind.NUMBER)))
    with pytest.raises(errors.UnknownName, match="did you mean 'income'"):
        schema["incom"]


def test_streams_are_named_and_do_not_collide() -> None:
    draw = {path: seeds.stream(1, *path).random() for path in [("a", "b"), ("ab",), ("a", 1), ("a", "1"), ("b", "a")]}
    assert len(set(draw.values())) == len(draw)
    assert seeds.stream(1, "a", "b").random() == draw[("a", "b")]
    assert seeds.stream(2, "a", "b").random() != draw[("a", "b")]


def test_estimates_refuse_contradictions() -> None:
    for bad in [(math.nan, 0, 1), (0.5, 1, 0), (0.5, math.nan, 1)]:
        with pytest.raises(ValueError, match=r"finite|interval"):
            Estimate(*bad, n=3, level=0.95, method="x")
    assert Estimate(10, 10, math.inf, n=3, level=0.9, method="x").censored


def test_findings_become_json_with_open_ends_as_null() -> None:
    finding = Finding("m", Estimate(10, 10, math.inf, 3, 0.9, "x"), "higher", Status.PASS, slice="sex=F")
    record = finding.as_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["high"], record["low"], finding.name) == (None, 10, "m:sex=F")
    unmeasured = Finding("m", Unmeasured("no target", "--target"), "higher", Status.UNMEASURED).as_json()
    assert (unmeasured["value"], unmeasured["reason"], unmeasured["mend"]) == (None, "no target", "--target")


def test_missing_extra_names_the_extra() -> None:
    with pytest.raises(errors.MissingExtra, match=r"sterling\[cluster\]"):
        need("no_such_module_of_ours", extra="cluster")


def test_schema_knows_target_and_replaces_fields() -> None:
    schema = Schema((Field("y", Kind.CATEGORY, Role.TARGET), Field("x", Kind.NUMBER)))
    assert schema.target is not None
    assert schema.target.name == "y"
    assert schema.replaced(Field("x", Kind.CATEGORY))["x"].kind is Kind.CATEGORY
    with pytest.raises(ValueError, match="unique"):
        Schema((Field("y", Kind.NUMBER), Field("y", Kind.NUMBER)))


def test_task_keys_depend_on_everything_that_stands_in_the_task() -> None:
    task = Task("m:f", (("n", 3),), ("generate", 0), ("abc",))
    others = [
        Task("m:g", (("n", 3),), ("generate", 0), ("abc",)),
        Task("m:f", (("n", 4),), ("generate", 0), ("abc",)),
        Task("m:f", (("n", 3),), ("generate", "0"), ("abc",)),
        Task("m:f", (("n", 3),), ("generate", 0), ("abd",)),
    ]
    assert len({task.key, *(t.key for t in others)}) == 5
    assert Task("m:f", (("n", 3),), ("generate", 0), ("abc",)).key == task.key


@pytest.mark.parametrize("room", registry.ROOMS)
def test_every_built_in_resolves_by_its_file_name(room: registry.Room) -> None:
    for name in registry.names(room):
        assert callable(registry.resolve(room, name)) or room == "modalities"


def test_unknown_registry_names_are_answered() -> None:
    with pytest.raises(errors.UnknownName, match="no generator"):
        registry.resolve("generators", "crat")
