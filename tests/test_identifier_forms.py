"""Identifiers of many forms: new ones look like the old, are unique, and none is an old one."""

from __future__ import annotations

import re
import uuid

import numpy as np
import pyarrow as pa
import pytest

from sterling.kernel.schema import Field, Kind, Role
from sterling.modalities.tabular.identifiers import Identifier, identifier_of, identifiers, room_of

N = 1500
RNG = np.random.default_rng(0)
UPPER = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
FORMS: dict[str, tuple[list[str], str]] = {
    "invoice": ([f"INV-{y}-{i:05d}" for i, y in enumerate(RNG.choice([2022, 2023, 2024], N))], r"INV-202[234]-\d{5}"),
    "uuid": (
        [str(uuid.UUID(bytes=RNG.bytes(16), version=4)) for _ in range(N)],
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    ),
    "plate": (
        [f"{'MBK'[i % 3]}-{''.join(RNG.choice(UPPER, 2))} {x:04d}" for i, x in enumerate(RNG.permutation(10_000)[:N])],
        r"[MBK]-[A-Z]{2} \d{4}",
    ),
    "iban": ([f"DE{RNG.integers(10, 99)}{RNG.integers(10**17, 10**18)}" for _ in range(N)], r"DE\d{20}"),
    "card": ([" ".join(map(str, RNG.integers(1000, 9999, 4))) for _ in range(N)], r"\d{4}( \d{4}){3}"),
    "mail": ([f"p{i}.x@{('web.example', 'post.example')[i % 2]}" for i in range(N)], r"\w+@(web|post)\.example"),
    "phone": (
        [f"+49 {151 + i % 3} {x}" for i, x in enumerate(RNG.permutation(10**6)[:N] + 10**6)],
        r"\+49 1\d\d \d{7}",
    ),
    "unique domains": ([f"a@firm{i}.example" for i in range(N)], r"\w+@mail\.example"),
}


@pytest.mark.parametrize("name", FORMS)
def test_new_ones_of_the_old_form(name: str) -> None:
    words, form = FORMS[name]
    maker = identifier_of(Field(name, Kind.CATEGORY, Role.KEY, storage="string"), pa.array(words))
    made = identifiers(maker, np.arange(4000), salt=7).to_pylist()
    assert all(re.fullmatch(form, w) for w in made)
    assert len(set(made)) == 4000
    assert not set(made) & set(words)
    # The same in parts: batches of one task agree.
    assert identifiers(maker, np.arange(1000, 1010), salt=7).to_pylist() == made[1000:1010]
    assert identifiers(maker, np.arange(10), salt=8).to_pylist() != made[:10] or maker.next is not None


def test_shares_of_prefixes_are_kept() -> None:
    words = [f"{'A' if i % 10 else 'B'}-{i:05d}" for i in range(2000)]
    maker = identifier_of(Field("k", Kind.CATEGORY, Role.KEY, storage="string"), pa.array(words))
    made = identifiers(maker, np.arange(5000), salt=3).to_pylist()
    assert 0.08 < np.mean([w[0] == "B" for w in made]) < 0.12


def test_a_small_form_is_used_up_before_it_grows() -> None:
    letters = list("ABCDEFGHIJ")
    words = [a + "1" + b + "x" + c + "!" for a in letters for b in letters[:5] for c in letters[:4]]
    maker = identifier_of(Field("k", Kind.CATEGORY, Role.KEY, storage="string"), pa.array(words))
    free = room_of(maker.pattern) - len(words)
    made = identifiers(maker, np.arange(free + 50), salt=1).to_pylist()
    assert len(set(made)) == free + 50
    assert not set(made) & set(words)
    assert all("-" not in w for w in made[:free])


def whole(numbers: list[int], kind: pa.DataType | None = None) -> Identifier:
    array = pa.array(numbers, kind or pa.int64())
    return identifier_of(Field("k", Kind.NUMBER, Role.KEY, storage=str(array.type)), array)


def test_sparse_numbers_are_drawn_between_the_old_ones_and_do_not_tell_the_largest() -> None:
    old = sorted(np.random.default_rng(3).choice(10**9, 800, replace=False).tolist())
    made = identifiers(whole(old), np.arange(3000), salt=5).to_pylist()
    assert len(set(made)) == 3000
    assert not set(made) & set(old)
    assert min(made) - 1 not in old
    assert min(old) < min(made) < max(made) < max(old)
    assert identifiers(whole(old), np.arange(1000, 1010), salt=5).to_pylist() == made[1000:1010]


def test_counters_stay_counters() -> None:
    assert identifiers(whole(list(range(1, 501))), np.arange(3), salt=5).to_pylist() == [501, 502, 503]


def test_a_span_without_room_grows_beyond_it() -> None:
    old = [10, 20, 30, 40]
    made = identifiers(whole(old), np.arange(40), salt=5).to_pylist()
    assert len(set(made)) == 40
    assert not set(made) & set(old)
    assert max(made) == 40 + 40 - 27


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        ([*range(1, 400), 2**63 - 5], pa.int64()),
        ([-(2**63), 0, 2**63 - 1], pa.int64()),
        ([0, 2**64 - 1, 7], pa.uint64()),
        (list(range(2**63 - 50, 2**63)), pa.int64()),
        (list(range(1, 120)), pa.int8()),
    ],
)
def test_the_ends_of_a_type_are_borne(old: list[int], kind: pa.DataType) -> None:
    made = identifiers(whole(old, kind), np.arange(100), salt=9).cast(kind).to_pylist()
    assert len(set(made)) == 100
    assert not set(made) & set(old)


def test_short_codes_keep_their_form() -> None:
    for words, form in (
        (["EWR"], "[A-Z]{3}"),
        (["EWR", "JFK", "LGA"], "[A-Z]{3}"),
        (["9E", "AA", "B6"], "[0-9A-Z]{2}"),
    ):
        maker = identifier_of(Field("k", Kind.CATEGORY, Role.ENTITY, storage="string"), pa.array(words))
        made = identifiers(maker, np.arange(200), salt=1).to_pylist()
        assert len(set(made)) == 200
        assert not set(made) & set(words)
        assert all(re.fullmatch(form, w) for w in made)
