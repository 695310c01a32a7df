"""What a worker remembers of its sessions is bounded in number and in size."""

from __future__ import annotations

from everlog.domain.stored import Base, Loaded, StoredSession, Stub, encode_stored
from everlog.projector.cache import StateCache


def loaded(key: str, filling: int = 0) -> Loaded:
    stub = Stub(1, "active", {"filling": "x" * filling}, "hash")
    return Loaded(StoredSession(key, 0, 0, 1, None, stub=stub), Base(1, 0))


def test_the_session_that_was_unused_longest_goes_first() -> None:
    cache = StateCache(2)
    for key in ("a", "b", "a", "c"):
        cache.put(key, loaded(key))
    assert cache.keys() == ["a", "c"]


def test_large_sessions_push_others_out() -> None:
    size = len(encode_stored(loaded("a", 1_000).stored))
    cache = StateCache(100, bytes_max=3 * size)
    for key in "abcd":
        cache.put(key, loaded(key, 1_000))
    assert cache.keys() == ["b", "c", "d"]
    cache.put("e", loaded("e", 4_000))
    assert cache.keys() == [], "one that is larger than all there may be is not kept"


def test_what_is_taken_out_or_put_again_is_not_counted_twice() -> None:
    size = len(encode_stored(loaded("a", 1_000).stored))
    cache = StateCache(100, bytes_max=3 * size)
    for _ in range(10):
        for key in "abc":
            cache.put(key, loaded(key, 1_000))
        assert cache.take("b") is not None and cache.take("b") is None
    assert cache.keys() == ["a", "c"]
    cache.clear()
    for key in "abc":
        cache.put(key, loaded(key, 1_000))
    assert cache.keys() == ["a", "b", "c"]


def test_to_look_at_a_session_changes_nothing() -> None:
    cache = StateCache(2)
    cache.put("a", loaded("a"))
    cache.put("b", loaded("b"))
    assert cache.look_at("a") == loaded("a") and cache.look_at("z") is None
    cache.put("c", loaded("c"))
    assert cache.keys() == ["b", "c"]
