from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from everlog.archive.digest import Digest
from everlog.archive.headers import decode_headers, encode_headers
from everlog.ports.log import Headers, Record

some_bytes = st.none() | st.binary(max_size=20)
headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple)
records = st.lists(
    st.builds(
        Record,
        partition=st.just(0),
        offset=st.integers(0, 2**63 - 1),
        timestamp=st.integers(-1, 2**45),
        key=some_bytes,
        value=some_bytes,
        headers=headers,
    ),
    max_size=8,
    unique_by=lambda record: record.offset,
)
NULL_HEADER: Headers = (("h", None),)
BASE = Record(0, 7, 1000, b"t/s", b"value", (("h", b"x"),))


def digest(*of: Record) -> Digest:
    made = Digest()
    made.add_all(of)
    return made


@given(records, st.randoms())
def test_the_digest_does_not_depend_on_order(some: list[Record], chance: random.Random) -> None:
    shuffled = list(some)
    chance.shuffle(shuffled)
    assert digest(*shuffled) == digest(*some)


@given(records, st.integers(0, 8))
def test_the_digests_of_two_parts_add_up_to_that_of_the_whole(some: list[Record], cut: int) -> None:
    assert digest(*some[:cut]) + digest(*some[cut:]) == digest(*some)


def test_every_part_of_a_record_counts() -> None:
    others = [
        BASE._replace(offset=8),
        BASE._replace(timestamp=1001),
        BASE._replace(key=b"t/r"),
        BASE._replace(value=b"valuf"),
        BASE._replace(headers=(("h", b"y"),)),
        BASE._replace(headers=(("i", b"x"),)),
        BASE._replace(headers=()),
    ]
    assert len({digest(record).total for record in [BASE, *others]}) == len(others) + 1


def test_null_is_not_empty() -> None:
    null = [BASE._replace(key=None), BASE._replace(value=None), BASE._replace(headers=NULL_HEADER)]
    empty = [BASE._replace(key=b""), BASE._replace(value=b""), BASE._replace(headers=(("h", b""),))]
    assert all(digest(a) != digest(b) for a, b in zip(null, empty, strict=True))


def test_bytes_that_move_from_key_to_value_change_the_digest() -> None:
    assert digest(BASE._replace(key=b"t/", value=b"svalue")) != digest(BASE)


def test_the_digest_is_the_one_of_the_format() -> None:
    assert digest(BASE) == Digest(1, 0x9FD856056B7F1074)


@given(headers)
def test_headers_come_back_byte_for_byte(some: Headers) -> None:
    assert decode_headers(encode_headers(some)) == some


def test_a_null_header_value_comes_back_as_null() -> None:
    assert decode_headers(encode_headers((*NULL_HEADER, ("h", b"")))) == (*NULL_HEADER, ("h", b""))
