"""The ring of outcomes, the canonical form and the stored form, by themselves."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from everlog.domain.canonical import canonical, id_hash, parse_strictly
from everlog.domain.encoding import encode
from everlog.domain.ring import Ring
from everlog.domain.stored import (
    StoredSession,
    Stub,
    checksum,
    decode_stored,
    encode_stored,
    rejection_of,
    timeline_id,
)
from everlog.domain.verdicts import FOREIGN, PENDING, Accepted, Duplicate, Reason, Rejected, unpack
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.events import Event
from everlog.schemas.json_values import NotInteroperableError
from support.events import KEY
from support.generated import JSON

CONTENT: Final = b"content-hash-16b"


def test_an_id_that_only_looks_remembered_across_two_slots_is_new() -> None:
    ring = Ring()
    ring.remember(b"AAAABBBB", b"CCCC", Accepted(0x4444444444))
    across = b"BBBBCCCC"
    assert across in bytes(ring.accepted)
    assert ring.recall(across, CONTENT, 7) is None
    assert ring.outcome(across) is None


def test_an_id_is_found_behind_a_place_that_only_looks_like_it() -> None:
    ring = Ring()
    ring.remember(b"AAAABBBB", b"CCCC", Accepted(1))
    ring.remember(b"BBBBCCCC", CONTENT, Accepted(2))
    assert ring.recall(b"BBBBCCCC", CONTENT, 7) == Duplicate(Accepted(2))
    ring.remember(b"CCCCDDDD", CONTENT, Rejected(Reason.HELD, 3))
    assert ring.recall(b"CCCCDDDD", CONTENT, 7) == Duplicate(Rejected(Reason.HELD, 3))


def test_the_first_four_bytes_of_a_content_hash_tell_an_id_used_again() -> None:
    ring = Ring()
    ring.remember(b"AAAABBBB", CONTENT, Accepted(1))
    assert ring.recall(b"AAAABBBB", b"cont" + b"x" * 12, 7) == Duplicate(Accepted(1))
    assert ring.recall(b"AAAABBBB", b"conx" + CONTENT[4:], 7) == Rejected(Reason.ID_REUSED, 7)
    assert ring.outcome(b"AAAABBBB") == Accepted(1)


def test_an_id_that_was_rejected_and_then_accepted_is_known_as_accepted() -> None:
    ring = Ring()
    ring.remember(b"AAAABBBB", CONTENT, Rejected(Reason.HELD, 1))
    ring.remember(b"AAAABBBB", CONTENT, Accepted(2))
    assert ring.outcome(b"AAAABBBB") == Accepted(2)


def test_an_outcome_in_the_ring_keeps_the_largest_version_that_forty_bits_hold() -> None:
    ring = Ring()
    ring.remember(b"AAAABBBB", CONTENT, Accepted(2**40 - 1))
    assert ring.outcome(b"AAAABBBB") == Accepted(2**40 - 1)
    assert len(ring.accepted) == 18


def test_the_hash_of_an_id_is_what_it_always_was() -> None:
    assert id_hash("event-1").hex() == "31b4b8490e3d95e4"
    assert len(id_hash("")) == 8


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        ({"é": 1, "e": 2, "z": 3}, '{"e":2,"z":3,"é":1}'.encode()),
        ({"\ue000": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ue000":1}'.encode()),
        ([1.0, 1e21, 1e-7, -0.0, 0.5], b"[1,1e+21,1e-7,0,0.5]"),
        ('\u2028/\x7f"\\\n\x00', '"\u2028/\x7f\\"\\\\\\n\\u0000"'.encode()),
    ],
)
def test_canonical_json_is_that_of_rfc_8785(value: Any, written: bytes) -> None:
    assert canonical(value) == written


@given(JSON)
def test_canonical_json_is_that_of_its_library_and_reads_back(value: Any) -> None:
    try:
        written = canonical(value)
    except NotInteroperableError:
        return
    assert written == rfc8785.dumps(value)
    assert parse_strictly(written) == value
    assert canonical(parse_strictly(written)) == written


@pytest.mark.parametrize(
    "value", ["\ud800", {"\udfff": 1}, {"a": 0.5, "b": "\ud800"}, 2**53, -(2**53), 1e20, float("nan")]
)
def test_what_not_every_reader_keeps_has_no_canonical_json(value: Any) -> None:
    with pytest.raises(NotInteroperableError):
        canonical(value)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"NaN", b"[-Infinity]", b'{"a":1,"a":2}', b'[{"b":{"a":1,"a":1}}]', b"[" * 100_000, b"1 2"]
)
def test_anything_but_strict_json_is_refused(raw: bytes) -> None:
    with pytest.raises(NotInteroperableError):
        parse_strictly(raw)


def test_a_door_refuses_text_that_is_no_text() -> None:
    attributes: dict[str, Any] = {
        "source": "/x",
        "subject": "s",
        "tenantid": "t",
        "time": "2026-01-02T03:04:05Z",
        "actor": "ada",
    }
    event = Event.model_construct(id="e", type="org.example.thing", data={"a": "\ud800"}, **attributes)
    with pytest.raises(InvalidEventError, match="not JSON that every reader keeps"):
        encode(event)


def test_a_parked_or_foreign_record_has_no_verdict() -> None:
    assert unpack(FOREIGN) is None
    assert unpack(PENDING) is None
    assert unpack(7 << 8 | PENDING) is None
    assert len({FOREIGN, PENDING}) == 2


def test_a_document_says_the_version_of_its_state_or_of_its_stub() -> None:
    stub = StoredSession(KEY, 0, 1, 2, None, stub=Stub(9, "closed", {}, "hash"))
    assert stub.version == 9
    assert StoredSession(KEY, 0, 1, 2, None).version == 0
    assert decode_stored(encode_stored(stub)) == stub
    with pytest.raises(msgspec.MsgspecError):
        decode_stored(b"\x93")


@given(st.binary(max_size=40))
def test_a_checksum_fits_a_signed_integer_of_64_bits(blob: bytes) -> None:
    assert -(2**63) <= checksum(blob) < 2**63


def test_a_checksum_is_what_it_always_was() -> None:
    assert [checksum(blob) for blob in (b"", b"a", b"b")] == [
        3244421341483603138,
        -1817709641818812897,
        6294355645245719615,
    ]


def test_the_ids_of_entries_sort_by_version_and_those_of_rejections_name_event_or_place() -> None:
    assert [timeline_id(KEY, version) for version in (7, 123_456_789_012)] == [
        f"{KEY}#000000000007",
        f"{KEY}#123456789012",
    ]
    verdict = Rejected(Reason.KEY_CONFLICT, 3, ("city",))
    named, unnamed = (rejection_of(KEY, event_id, "0/1/2", 2, 99, verdict) for event_id in ("e-1", None))
    assert (named.id, unnamed.id) == (f"{KEY}#e-1", f"{KEY}#@0/1/2")
    assert (named.offset, named.timestamp, named.reason, named.version) == (2, 99, "key_conflict", 3)
    assert named.detail == ("city",)
