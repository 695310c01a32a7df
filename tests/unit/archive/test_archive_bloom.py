from __future__ import annotations

import pytest

from everlog.archive.bloom import HASH_FUNCTIONS, build_bloom, may_contain
from everlog.schemas.errors import ArchiveDamagedError


def test_every_session_that_is_there_is_found_and_one_in_a_hundred_others() -> None:
    there = [f"t/session-{number}" for number in range(5000)]
    bloom = build_bloom(there)
    assert all(may_contain(bloom, session) for session in there)
    others = sum(may_contain(bloom, f"t/other-{number}") for number in range(20_000))
    assert others / 20_000 < 0.012


def test_a_bloom_costs_ten_bits_a_session() -> None:
    assert HASH_FUNCTIONS == 7
    assert len(build_bloom([f"t/{number}" for number in range(8000)])) == 16 + 10_000


def test_a_bloom_of_no_session_holds_none() -> None:
    assert not may_contain(build_bloom([]), "t/s")


@pytest.mark.parametrize("damaged", [b"", b"EVB1", b"XXXX" + build_bloom(["t/s"])[4:], build_bloom(["t/s"])[:-1]])
def test_bytes_that_are_no_bloom_are_refused(damaged: bytes) -> None:
    with pytest.raises(ArchiveDamagedError):
        may_contain(damaged, "t/s")
