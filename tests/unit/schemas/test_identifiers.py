"""Identifiers, keys and names of types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlog.schemas.errors import InvalidEventError
from everlog.schemas.identifiers import (
    check_member,
    full_type,
    is_identifier,
    session_key,
    split_key,
    well_formed_key,
)
from everlog.schemas.limits import ID_CHARACTERS

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-"
identifiers = st.text(ALPHABET, min_size=1, max_size=ID_CHARACTERS)


@given(identifiers)
def test_every_text_of_the_alphabet_is_an_identifier(text: str) -> None:
    assert is_identifier(text)


@given(st.text(min_size=1, max_size=20).filter(lambda text: set(text) - set(ALPHABET)))
def test_a_text_with_another_character_is_none(text: str) -> None:
    assert not is_identifier(text)


@pytest.mark.parametrize("text", ["", "x" * (ID_CHARACTERS + 1), "a/b", "a#b", "a b", "ä", "a\n", "\u0661"])
def test_what_is_empty_too_long_or_holds_a_separator_is_no_identifier(text: str) -> None:
    assert not is_identifier(text)
    with pytest.raises(InvalidEventError):
        session_key(text, "rome-42")
    with pytest.raises(InvalidEventError):
        session_key("acme", text)


@given(identifiers, identifiers)
def test_a_key_names_one_tenant_and_one_session(tenant: str, session: str) -> None:
    key = session_key(tenant, session)
    assert split_key(key) == (tenant, session)
    assert well_formed_key(key.encode()) == key


@pytest.mark.parametrize("raw", [None, b"", b"acme", b"acme/", b"/rome", b"a/b/c", b"a/b\n", b"a/\xff", b"a/b#1"])
def test_a_raw_key_that_names_no_session_has_no_key(raw: bytes | None) -> None:
    assert well_formed_key(raw) is None


def test_an_error_names_which_one_is_wrong_and_shows_no_more_than_an_identifiers_length_of_it() -> None:
    with pytest.raises(InvalidEventError, match="session 'a/b' is not an identifier") as caught:
        session_key("acme", "a/b")
    assert caught.value.hint
    with pytest.raises(InvalidEventError) as caught:
        session_key("/" * 100_000, "rome")
    assert len(str(caught.value)) < 2 * ID_CHARACTERS + 100


@pytest.mark.parametrize(
    ("given_name", "full"),
    [
        ("message.appended", "everlog.message.appended.v1"),
        ("tool_call.requested", "everlog.tool_call.requested.v1"),
        ("everlog.message.appended.v1", "everlog.message.appended.v1"),
        ("everlog.message.appended.v2", "everlog.message.appended.v2"),
        ("everlog.message", "everlog.message"),
        ("com.example.booked", "com.example.booked"),
        ("message", "message"),
    ],
)
def test_a_name_of_two_parts_is_short_and_any_other_is_full(given_name: str, full: str) -> None:
    assert full_type(given_name) == full


def test_nobody_may_be_named_like_the_system() -> None:
    assert check_member("planner") == "planner"
    with pytest.raises(ValueError, match="system:"):
        check_member("system:archiver")
