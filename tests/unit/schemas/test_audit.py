"""Entries of the audit topic: always of a size that can be written, and nothing but what they are meant to hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from everlog.schemas.audit import SESSIONS_NAMED, TEXT_CHARACTERS, AuditEvent, Denial, Operation, cut
from everlog.schemas.times import as_text


def test_a_text_is_cut_and_can_be_written() -> None:
    assert cut("x" * 1_000) == "x" * TEXT_CHARACTERS
    assert cut("a\ud800b") == "a?b"


def test_of_many_sessions_the_first_are_named_and_all_are_counted() -> None:
    keys = [f"acme/trip-{number}" for number in range(SESSIONS_NAMED + 50)]
    operation = Operation.of("archive trim", "r" * 1_000, {"before": 17, "note": "n" * 1_000}, keys)
    assert operation.sessions == keys[:SESSIONS_NAMED] and operation.session_count == len(keys)
    assert len(operation.reason) == len(operation.arguments["note"]) == TEXT_CHARACTERS
    assert operation.arguments["before"] == "17"


def test_an_entry_comes_back_as_it_was_and_takes_nothing_else() -> None:
    denial = Denial(method="GET", path="/v1/sessions/rome", reason="forbidden", detail="no reader", role="viewer")
    time = as_text(datetime(2026, 1, 2, 3, 4, 5, 678_900, UTC))
    event = AuditEvent(id="e-1", source="/gateway", type="everlog.audit.denied.v1", time=time, data=denial)
    assert AuditEvent.model_validate_json(event.model_dump_json()) == event
    with pytest.raises(ValidationError, match="Extra inputs"):
        AuditEvent.model_validate(event.model_dump() | {"content": "secret"})


def test_a_time_is_told_in_utc_to_the_millisecond() -> None:
    assert as_text(datetime(2026, 1, 2, 5, 4, 5, 678_900, timezone(timedelta(hours=2)))) == "2026-01-02T03:04:05.678Z"
