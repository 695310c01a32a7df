"""What every warm store must do: the one in memory, and MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from bson import Binary

from everlog.adapters.memory.warm import MemoryWarmStore
from everlog.adapters.mongo import MongoWarmStore, connect
from everlog.adapters.mongo.connection import Client
from everlog.domain.fold import DOCUMENT_BYTES_MAX
from everlog.domain.law import LAW
from everlog.domain.redaction import Edit, Redactions, blanked
from everlog.domain.searching import Query, found_by, label_terms, words_of
from everlog.domain.standing import Participant
from everlog.domain.stored import (
    COLD,
    Base,
    Loaded,
    Parked,
    Rejection,
    StoredSession,
    Stub,
    TimelineEntry,
    encode_stored,
)
from everlog.domain.verdicts import FOREIGN, PENDING, Accepted, Duplicate, Reason, Rejected, pack
from everlog.local.stack import Addresses
from everlog.ports.warm import ClosedBatch, DamagedDocumentsError, Idle, SessionWrite, WarmStore
from everlog.runtime.config import MongoSettings
from everlog.schemas.errors import ConfigurationError, IntegrityError, UnavailableError
from support.events import event, said, value

KEY = "acme/rome-42"
ERA, PARTITION = 0, 3
LARGE_OFFSET = 2**53 + 1


class Clock:
    """A time that tests set."""

    now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


def document(key: str = KEY, *, offset: int = 0, revision: int = 1, partition: int = PARTITION) -> StoredSession:
    """A document with a real state."""
    tenant, session = key.split("/")
    created = event("session.created", {"owner": "ada", "title": f"at {offset}"}, tenantid=tenant, subject=session)
    state, verdict = LAW.step(None, created)
    assert isinstance(verdict, Accepted)
    return StoredSession(key, ERA, partition, offset, state, revision=revision, outcomes=[(offset, pack(verdict))])


def largest() -> StoredSession:
    """As large as a fold leaves a document: of all that it holds only those who have left know no bound."""
    stored = document()
    assert stored.state is not None
    name = "participant-" + "x" * 108
    gone = {f"{name}{number:08d}": Participant(name, "editor", "agent", present=False) for number in range(60_000)}
    stored.state.standing.roster |= gone
    while len(encode_stored(stored)) > DOCUMENT_BYTES_MAX:
        for _ in range(100):
            gone.popitem()
        stored.state.standing.roster = dict(gone)
    assert len(encode_stored(stored)) > DOCUMENT_BYTES_MAX - (100 << 10)
    return stored


def entry(version: int) -> TimelineEntry:
    return TimelineEntry(version, LARGE_OFFSET + version, 1_700_000_000_000 + version, b"\x00value %d" % version)


def message(version: int) -> TimelineEntry:
    return TimelineEntry(version, version, 1_000, said(f"number {version}"))


def edit(version: int, of: int) -> TimelineEntry:
    data = {"version": of, "parts": [{"type": "text", "text": f"number {of} again"}]}
    return TimelineEntry(version, version, 1_000, value("message.edited", data))


def rejection(event_id: str, version: int) -> Rejection:
    return Rejection(f"{KEY}#{event_id}", LARGE_OFFSET, 1_700_000_000_000, "version_conflict", version, ("title", "2"))


async def written(store: WarmStore, stored: StoredSession, base: Base | None = None) -> Loaded:
    """A document that was written without trouble."""
    result = await store.write_sessions([SessionWrite(stored, base)])
    assert not result.moved
    return result.documents[stored.key]


class WarmContract:
    """Subclasses give the fixtures ``store``, ``rival`` (another process on the same data) and ``damage``."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    async def test_a_written_document_is_loaded_with_its_base(self, store: WarmStore) -> None:
        stored = document(offset=LARGE_OFFSET)
        done = await written(store, stored)
        assert await store.load([KEY, "acme/unknown"]) == {KEY: done}
        assert done.stored == stored and done.base.revision == 1

    async def test_nothing_asked_for_is_nothing_done(self, store: WarmStore) -> None:
        assert await store.load([]) == {}
        assert await store.write_sessions([]) == ({}, frozenset())
        await store.insert_timeline([])
        await store.insert_edits([])
        await store.insert_rejections([])

    async def test_changing_a_written_state_in_place_changes_nothing_in_the_store(self, store: WarmStore) -> None:
        stored = document()
        await written(store, stored)
        assert stored.state is not None
        stored.state.view.title = "changed"
        loaded = (await store.load([KEY]))[KEY].stored
        assert loaded.state is not None and loaded.state.view.title == "at 0"

    async def test_documents_of_every_form_come_back_as_they_were(self, store: WarmStore) -> None:
        stub = Stub(7, "closed", {"team": "blue"}, "ab" * 32)
        forms = [
            StoredSession("acme/stub", ERA, PARTITION, 5, None, revision=9, stub=stub, timeline_from=8),
            StoredSession("acme/nothing", ERA, PARTITION, 6, None, outcomes=[(6, PENDING), (7, FOREIGN)]),
        ]
        result = await store.write_sessions([SessionWrite(form, None) for form in forms])
        assert await store.load(["acme/stub", "acme/nothing"]) == result.documents
        assert [result.documents[form.key].stored for form in forms] == forms

    async def test_a_document_is_replaced_onto_its_base(self, store: WarmStore) -> None:
        first = await written(store, document())
        second = await written(store, document(offset=1, revision=2), first.base)
        assert await store.load([KEY]) == {KEY: second}

    async def test_sending_the_same_writes_again_is_harmless(self, store: WarmStore) -> None:
        base = (await written(store, document("acme/old"))).base
        writes = [SessionWrite(document("acme/old", offset=9, revision=2), base), SessionWrite(document(), None)]
        assert await store.write_sessions(writes) == await store.write_sessions(writes)
        assert (await store.load(["acme/old"]))["acme/old"].stored.offset == 9

    async def test_a_stale_base_is_moved_and_the_newer_document_stays(self, store: WarmStore, rival: WarmStore) -> None:
        base = (await written(store, document())).base
        newer = await written(rival, document(offset=1, revision=2), base)
        result = await store.write_sessions([SessionWrite(document(offset=5, revision=2), base)])
        assert result == ({}, frozenset({KEY}))
        assert await store.load([KEY]) == {KEY: newer}

    async def test_a_session_that_somebody_else_created_is_moved(self, store: WarmStore, rival: WarmStore) -> None:
        theirs = await written(rival, document(offset=1))
        assert await store.write_sessions([SessionWrite(document(offset=5), None)]) == ({}, frozenset({KEY}))
        assert await store.load([KEY]) == {KEY: theirs}

    async def test_one_moved_base_among_many_leaves_the_others_written(
        self, store: WarmStore, rival: WarmStore
    ) -> None:
        keys = [f"acme/s{number}" for number in range(40)]
        bases = (await store.write_sessions([SessionWrite(document(key), None) for key in keys])).documents
        await written(rival, document(keys[7], offset=3, revision=2), bases[keys[7]].base)
        await written(rival, document("acme/new7", offset=3))
        writes = []
        for number, key in enumerate(keys):  # replacements and insertions take turns: errors name them by position
            writes.append(SessionWrite(document(key, offset=9, revision=2), bases[key].base))
            writes.append(SessionWrite(document(f"acme/new{number}", offset=9), None))
        result = await store.write_sessions(writes)
        moved = {keys[7], "acme/new7"}
        assert result.moved == moved
        assert set(result.documents) == {write.document.key for write in writes} - moved
        loaded = await store.load([write.document.key for write in writes])
        assert {key for key, document in loaded.items() if document.stored.offset == 3} == moved
        assert {key: loaded[key] for key in result.documents} == result.documents

    async def test_a_document_that_is_gone_is_a_loss(self, store: WarmStore) -> None:
        with pytest.raises(IntegrityError, match="missing"):
            await store.write_sessions([SessionWrite(document(revision=5), Base(4, 123))])

    @pytest.mark.parametrize("revision", [3, 4])
    async def test_a_document_older_than_its_base_is_a_loss(self, store: WarmStore, revision: int) -> None:
        await written(store, document(revision=revision))
        with pytest.raises(IntegrityError, match=r"older|revision"):
            await store.write_sessions([SessionWrite(document(offset=9, revision=5), Base(4, 123))])

    async def test_of_two_zombies_exactly_one_writes_onto_a_base(self, store: WarmStore, rival: WarmStore) -> None:
        keys = [f"acme/s{number}" for number in range(20)]
        bases = (await store.write_sessions([SessionWrite(document(key), None) for key in keys])).documents
        for revision in range(2, 12):
            ours, theirs = await asyncio.gather(
                *(
                    one.write_sessions(
                        [
                            SessionWrite(document(key, offset=revision * 10 + at, revision=revision), bases[key].base)
                            for key in keys
                        ]
                    )
                    for at, one in enumerate((store, rival))
                )
            )
            assert ours.moved == set(theirs.documents) and theirs.moved == set(ours.documents)
            bases = await rival.load(keys)
            assert bases == ours.documents | theirs.documents

    async def test_of_many_that_create_a_session_exactly_one_wins(self, store: WarmStore, rival: WarmStore) -> None:
        results = await asyncio.gather(
            *((store, rival)[at % 2].write_sessions([SessionWrite(document(offset=at), None)]) for at in range(8))
        )
        assert sorted(len(result.documents) for result in results) == [0] * 7 + [1]

    async def test_more_documents_than_one_command_takes_are_written_and_loaded(self, store: WarmStore) -> None:
        stored = document()
        writes = [SessionWrite(StoredSession(f"acme/{at}", 0, 1, at, stored.state), None) for at in range(2_100)]
        result = await store.write_sessions(writes)
        assert len(result.documents) == 2_100
        assert await store.load(list(result.documents)) == result.documents

    async def test_a_damaged_document_is_never_served(
        self, store: WarmStore, damage: Callable[[str], Awaitable[None]]
    ) -> None:
        done = await written(store, document())
        await written(store, document("acme/other"))
        await damage(KEY)
        with pytest.raises(DamagedDocumentsError, match="checksum") as raised:
            await store.load([KEY, "acme/other"])
        assert raised.value.damaged == {KEY: done.base}
        assert list(await store.load(["acme/other"])) == ["acme/other"]

    async def test_the_largest_document_that_a_fold_makes_is_stored(self, store: WarmStore) -> None:
        done = await written(store, largest())
        assert (await store.load([KEY]))[KEY].base == done.base
        changed = largest()
        changed.revision, changed.parked = 2, Parked(9, "SessionTooLargeError", 9, 1_000)
        await written(store, changed, done.base)

    async def test_another_document_can_be_written_onto_the_base_of_a_damaged_one(
        self, store: WarmStore, damage: Callable[[str], Awaitable[None]]
    ) -> None:
        done = await written(store, document())
        await damage(KEY)
        mended = await written(store, document(revision=2), done.base)
        assert await store.load([KEY]) == {KEY: mended}

    async def test_a_timeline_is_read_in_order_of_version(self, store: WarmStore) -> None:
        entries = [entry(version) for version in range(1, 1_501)]
        await store.insert_timeline([(KEY, one) for one in reversed(entries)])
        await store.insert_timeline([(f"{KEY}0", entry(1))])
        assert await store.timeline(KEY, 1, 1_024) == entries[:1_024]
        assert await store.timeline(KEY, 1_400, 2_423) == entries[1_399:]
        assert await store.timeline(KEY, 1_501, 1_600) == []
        assert await store.timeline("acme/unknown", 1, 10) == []

    async def test_an_entry_that_is_there_already_stays_as_it_is(self, store: WarmStore) -> None:
        await store.insert_timeline([(KEY, entry(2))])
        other = TimelineEntry(2, 9, 9, b"other")
        await store.insert_timeline([(KEY, entry(1)), (KEY, other), (KEY, entry(3))])
        assert await store.timeline(KEY, 1, 3) == [entry(1), entry(2), entry(3)]

    async def test_deleted_entries_are_those_asked_for(self, store: WarmStore) -> None:
        await store.insert_timeline([(key, entry(version)) for key in (KEY, f"{KEY}1") for version in range(1, 21)])
        await store.delete_timeline(KEY, 1, 9)
        await store.delete_timeline(KEY, 11, 11)
        assert [one.version for one in await store.timeline(KEY, 1, 20)] == [10, *range(12, 21)]
        assert len(await store.timeline(f"{KEY}1", 1, 20)) == 20

    async def test_a_redaction_blanks_a_message_and_its_edits_and_nothing_else(
        self, store: WarmStore, rival: WarmStore
    ) -> None:
        spoken = [*map(message, (1, 2, 3)), edit(4, 2), edit(5, 3), edit(6, 2), message(7), edit(8, 2)]
        edits = [Edit(2, 4), Edit(3, 5), Edit(2, 6), Edit(2, 8)]
        for key in (KEY, f"{KEY}2"):
            await store.insert_timeline([(key, one) for one in spoken])
            await store.insert_edits([(key, one) for one in edits])
        await store.insert_edits([(KEY, edits[0])])
        taken_back: Redactions = {(2, None): 7}
        assert await store.redact(KEY, taken_back) == 3
        assert await rival.redact(KEY, taken_back) == 0, "it is done already"
        left = [blanked(one, taken_back) for one in spoken]
        assert [one.version for one, whole in zip(left, spoken, strict=True) if one != whole] == [2, 4, 6]
        assert await store.timeline(KEY, 1, 8) == left
        assert await store.timeline(f"{KEY}2", 1, 8) == spoken
        await store.insert_timeline([(KEY, message(2))])
        assert await store.timeline(KEY, 1, 8) == left, "who comes late brings nothing back"

    async def test_redactions_of_many_entries_by_two_owners_come_to_the_same(
        self, store: WarmStore, rival: WarmStore
    ) -> None:
        spoken = [message(version) for version in range(1, 251)]
        await store.insert_timeline([(KEY, one) for one in spoken])
        even: Redactions = {(version, None): 300 for version in range(2, 251, 2)}
        all_of_them: Redactions = {(version, None): 300 for version in range(1, 251)}
        done = await asyncio.gather(store.redact(KEY, all_of_them), rival.redact(KEY, even))
        assert sum(done) == 250
        assert await store.timeline(KEY, 1, 250) == [blanked(one, all_of_them) for one in spoken]

    async def test_a_redaction_of_what_is_not_warm_any_more_does_nothing(self, store: WarmStore) -> None:
        await store.insert_timeline([(KEY, one) for one in (message(2), edit(3, 2), edit(4, 2))])
        await store.insert_edits([(KEY, Edit(2, 3)), (KEY, Edit(2, 4))])
        await store.delete_timeline(KEY, 1, 3)
        assert await store.redact(KEY, {(2, None): 9, (7, 1): 9}) == 1
        assert [one.version for one in await store.timeline(KEY, 1, 9)] == [4]
        assert await store.redact("acme/unknown", {(2, None): 9}) == 0

    async def test_the_first_rejection_of_an_event_id_stays(self, store: WarmStore) -> None:
        await store.insert_rejections([rejection("e1", 4)])
        await store.insert_rejections([rejection("e1", 5), rejection("e2", 6)])
        assert await store.rejection(KEY, "e1") == rejection("e1", 4)
        assert await store.rejection(KEY, "e2") == rejection("e2", 6)
        assert await store.rejection(KEY, "e3") is None

    async def test_a_watermark_moves_by_compare_and_set(self, store: WarmStore, rival: WarmStore) -> None:
        assert await store.watermark(ERA, PARTITION) is None
        assert not await store.close_batch(ClosedBatch(ERA, PARTITION, 0, 1, [FOREIGN]))
        await store.begin(ERA, PARTITION, 0)
        assert await store.watermark(ERA, PARTITION) == 0
        batch = ClosedBatch(ERA, PARTITION, 0, 2, [FOREIGN, FOREIGN])
        assert await store.close_batch(batch)
        assert await store.close_batch(batch), "it stands at our own next offset already"
        assert await store.close_batch(ClosedBatch(ERA, PARTITION, 2, LARGE_OFFSET, []))
        assert not await rival.close_batch(batch), "somebody else moved on"
        assert await rival.watermark(ERA, PARTITION) == LARGE_OFFSET
        assert await store.watermark(ERA + 1, PARTITION) is None

    async def test_of_two_owners_one_moves_the_watermark(self, store: WarmStore, rival: WarmStore) -> None:
        await store.begin(ERA, PARTITION, 0)
        moved = await asyncio.gather(
            store.close_batch(ClosedBatch(ERA, PARTITION, 0, 2, [FOREIGN] * 2)),
            rival.close_batch(ClosedBatch(ERA, PARTITION, 0, 3, [FOREIGN] * 3)),
        )
        assert sorted(moved) == [False, True]
        assert await store.watermark(ERA, PARTITION) == (2 if moved[0] else 3)

    async def test_the_outcome_of_every_record_is_found(self, store: WarmStore) -> None:
        packed = [
            pack(verdict)
            for verdict in (
                Accepted(1),
                Rejected(Reason.VERSION_CONFLICT, 2**40),
                Duplicate(Accepted(LARGE_OFFSET >> 8)),
                Duplicate(Rejected(Reason.NOT_FOUND)),
            )
        ]
        await store.begin(ERA, PARTITION, 8)
        await store.begin(ERA, PARTITION + 1, 0)
        await store.close_batch(ClosedBatch(ERA, PARTITION, 8, 10, packed[:2]))
        await store.close_batch(ClosedBatch(ERA, PARTITION, 10, 12, packed[2:]))
        await store.close_batch(ClosedBatch(ERA, PARTITION + 1, 0, 1, [PENDING]))
        found = [await store.outcome(ERA, PARTITION, offset) for offset in range(7, 13)]
        assert found == [None, *packed, None]
        assert await store.outcome(ERA, PARTITION + 1, 0) == PENDING
        assert await store.outcome(ERA + 1, PARTITION, 8) is None

    async def test_outcomes_of_batches_that_overlap_are_all_found(self, store: WarmStore, rival: WarmStore) -> None:
        packed = [pack(Accepted(version)) for version in range(1, 7)]
        await store.begin(ERA, PARTITION, 0)
        assert await store.close_batch(ClosedBatch(ERA, PARTITION, 0, 4, packed[:4]))
        assert not await rival.close_batch(ClosedBatch(ERA, PARTITION, 0, 2, packed[:2]))
        assert await store.close_batch(ClosedBatch(ERA, PARTITION, 4, 6, packed[4:]))
        assert [await store.outcome(ERA, PARTITION, offset) for offset in range(6)] == packed

    async def test_the_outcome_of_a_record_is_found_beneath_a_batch_that_came_late(self, store: WarmStore) -> None:
        packed = [pack(Accepted(version)) for version in range(1, 11)]
        await store.begin(ERA, PARTITION, 0)
        assert not await store.close_batch(ClosedBatch(ERA, PARTITION, 3, 5, packed[3:5]))
        assert await store.close_batch(ClosedBatch(ERA, PARTITION, 0, 10, packed))
        assert [await store.outcome(ERA, PARTITION, offset) for offset in range(11)] == [*packed, None]

    async def test_beginning_a_partition_drops_its_documents_and_no_other(self, store: WarmStore) -> None:
        await written(store, document())
        await written(store, document("acme/other", partition=PARTITION + 1))
        await store.begin(ERA, PARTITION, 17)
        assert await store.watermark(ERA, PARTITION) == 17
        assert set(await store.load([KEY, "acme/other"])) == {"acme/other"}

    async def test_a_partition_that_has_a_watermark_is_not_begun_again(self, store: WarmStore) -> None:
        await store.begin(ERA, PARTITION, 17)
        await written(store, document())
        await store.begin(ERA, PARTITION, 0)
        assert await store.watermark(ERA, PARTITION) == 17
        assert set(await store.load([KEY])) == {KEY}

    async def test_idle_sessions_are_those_written_before_a_time(self, store: WarmStore, clock: Clock) -> None:
        stub = StoredSession("acme/stub", ERA, PARTITION, 1, None, stub=Stub(1, "closed", {}, "ab" * 32))
        for key, now_ms in (("acme/a", 1_000), ("acme/b", 2_000), ("acme/c", 3_000)):
            clock.now_ms = now_ms
            await written(store, document(key, offset=LARGE_OFFSET))
        clock.now_ms = 0
        await written(store, stub)
        stale = {Idle(key, ERA, PARTITION, LARGE_OFFSET) for key in ("acme/a", "acme/b")}
        assert {one async for one in store.idle(3_000)} == stale
        everything = {one async for one in store.idle(3_000, stubs=True)}
        assert everything == stale | {Idle("acme/stub", ERA, PARTITION, 1)}

    async def test_parked_sessions_are_those_of_the_partition_until_they_go_on(self, store: WarmStore) -> None:
        raised = Parked(LARGE_OFFSET, "ValueError", LARGE_OFFSET + 7, 1_700_000_000_000)
        forms = {
            "acme/raised": (document("acme/raised"), raised),
            "acme/nothing": (StoredSession("acme/nothing", ERA, PARTITION, -1, None), Parked(0, "KeyError", 0)),
            "acme/stub": (
                StoredSession("acme/stub", ERA, PARTITION, 4, None, stub=Stub(1, "open", {}, "ab" * 32)),
                Parked(5, COLD, 6, 1),
            ),
            "acme/elsewhere": (document("acme/elsewhere", partition=PARTITION + 1), raised),
        }
        for stored, parked in forms.values():
            stored.parked = parked
        await store.write_sessions([SessionWrite(stored, None) for stored, _ in forms.values()])
        await written(store, document("acme/current"))
        waiting = {key: parked for key, (_, parked) in forms.items() if key != "acme/elsewhere"}
        assert {key: parked async for key, parked in store.parked(PARTITION)} == waiting
        assert (await store.load(["acme/stub"]))["acme/stub"].stored.parked == Parked(5, COLD, 6, 1)
        base = (await store.load(["acme/raised"]))["acme/raised"].base
        await written(store, document("acme/raised", offset=9, revision=2), base)
        del waiting["acme/raised"]
        assert {key: parked async for key, parked in store.parked(PARTITION)} == waiting

    async def test_versions_are_told_of_those_that_have_a_document(self, store: WarmStore) -> None:
        stub = StoredSession("acme/stub", ERA, PARTITION, 1, None, stub=Stub(7, "closed", {}, "ab" * 32))
        await store.write_sessions([SessionWrite(document(), None), SessionWrite(stub, None)])
        assert await store.versions([KEY, "acme/stub", "acme/unknown"]) == {KEY: 1, "acme/stub": 7}
        assert await store.versions([]) == {}

    async def test_sessions_are_found_by_what_stands_beside_them(self, store: WarmStore, clock: Clock) -> None:
        clock.now_ms = 2_000_000_000_000
        await store.write_sessions([SessionWrite(one, None) for one in searched()])
        for query in searches():
            by = {one.key: found_by(one, clock.now_ms) for one in searched()}
            order = sorted(
                (found.updated_ms, key) for key, found in by.items() if found is not None and query.finds(key, found)
            )
            hits = await store.search(query)
            assert [(hit.updated_ms, hit.key) for hit in hits] == order[::-1][: query.limit], query
            assert all(hit.stored is not None and hit.stored.key == hit.key for hit in hits)

    async def test_a_search_goes_on_behind_the_last_one_that_was_seen(self, store: WarmStore, clock: Clock) -> None:
        clock.now_ms = 2_000_000_000_000
        await store.write_sessions([SessionWrite(document(f"acme/s{at}"), None) for at in range(7)])
        seen: list[str] = []
        before = None
        while hits := await store.search(Query("acme", before=before, limit=3)):
            seen += [hit.key for hit in hits]
            before = hits[-1].updated_ms, hits[-1].key
        assert seen == [f"acme/s{at}" for at in reversed(range(7))]

    async def test_what_changed_is_found_anew(self, store: WarmStore) -> None:
        done = await written(store, document())
        changed = document(offset=1, revision=2)
        assert changed.state is not None
        changed.state.view.title = "Munich"
        await written(store, changed, done.base)
        assert [hit.key for hit in await store.search(Query("acme", words=["munich"]))] == [KEY]
        assert await store.search(Query("acme", words=["at"])) == []

    async def test_a_damaged_document_is_found_without_its_content(
        self, store: WarmStore, damage: Callable[[str], Awaitable[None]]
    ) -> None:
        await written(store, document())
        await damage(KEY)
        assert [(hit.key, hit.stored) for hit in await store.search(Query("acme"))] == [(KEY, None)]


def searched() -> list[StoredSession]:
    """Sessions of all forms, with what they can be found by."""
    forms = []
    shown: list[tuple[str, Any, dict[str, Any]]] = [
        ("rome-42", "Trip to Rome", {"team": "support", "a:b": "c"}),
        ("paris", "Ärger (mit) Paris.*", {"team": "sales"}),
        ("munich", {"enc": {}}, {"team": {"enc": {}}}),
    ]
    for at, (name, title, labels) in enumerate(shown):
        stored = document(f"acme/{name}")
        assert stored.state is not None
        view, standing = stored.state.view, stored.state.standing
        view.title, view.labels, view.updated_at = title, labels, f"2026-01-0{at + 1}T03:04:05Z"
        standing.roster["planner"] = Participant("mad-7", "editor", "agent", present=name != "paris")
        if name == "rome-42":
            standing.interrupts["ask-1"] = "planner"
        forms.append(stored)
    closed = document("acme/closed")
    assert closed.state is not None
    closed.state.standing.status = "closed"
    stub = Stub(7, "closed", {"team": "support"}, "ab" * 32)
    cold = StoredSession("acme/cold-rome", ERA, PARTITION, 5, None, stub=stub)
    nothing = StoredSession("acme/nothing", ERA, PARTITION, -1, None, parked=Parked(0, "KeyError", 0))
    return [*forms, closed, cold, nothing, document("other/rome-42")]


def searches() -> list[Query]:
    return [
        Query("acme"),
        Query("other"),
        Query("nobody"),
        Query("acme", limit=2),
        Query("acme", status="closed"),
        Query("acme", labels=[label_terms("team")]),
        Query("acme", labels=[label_terms("team:support")]),
        Query("acme", labels=[label_terms("team:support"), label_terms("a:b:c")]),
        Query("acme", status="closed", labels=[label_terms("team:support")]),
        Query("acme", participant="planner"),
        Query("acme", participant="ada"),
        Query("acme", principal="mad-7"),
        Query("acme", principal="planner"),
        Query("acme", words=words_of("ROM")),
        Query("acme", words=words_of("trip rome")),
        Query("acme", words=words_of("ärger mit")),
        Query("acme", words=[".*"]),
        Query("acme", words=words_of("enc")),
        Query("acme", has_interrupts=True),
        Query("other", has_interrupts=True),
    ]


class TestMemoryWarmStore(WarmContract):
    @pytest.fixture
    def store(self, clock: Clock) -> MemoryWarmStore:
        return MemoryWarmStore(now_ms=clock)

    @pytest.fixture
    def rival(self, store: MemoryWarmStore) -> MemoryWarmStore:
        return store

    @pytest.fixture
    def damage(self, store: MemoryWarmStore) -> Callable[[str], Awaitable[None]]:
        async def flip(key: str) -> None:
            store.damage(key)

        return flip


@pytest.mark.integration
class TestMongoWarmStore(WarmContract):
    @pytest.fixture
    async def store(self, mongo: Client, database: str, clock: Clock) -> MongoWarmStore:
        store = MongoWarmStore(mongo[database], 1, now_ms=clock)
        await store.ensure_indexes()
        return store

    @pytest.fixture
    async def rival(self, services: Addresses, database: str, clock: Clock) -> AsyncIterator[MongoWarmStore]:
        async with connect(MongoSettings(url=services.mongo)) as client:
            yield MongoWarmStore(client[database], 1, now_ms=clock)

    @pytest.fixture
    def damage(self, mongo: Client, database: str) -> Callable[[str], Awaitable[None]]:
        async def flip(key: str) -> None:
            collection = mongo[database]["sessions_g1"]
            found = await collection.find_one({"_id": key})
            assert found is not None
            blob = bytes([found["blob"][0] ^ 1]) + found["blob"][1:]
            await collection.update_one({"_id": key}, {"$set": {"blob": Binary(blob)}})

        return flip

    async def test_a_document_under_another_id_or_revision_is_never_served(
        self, store: MongoWarmStore, mongo: Client, database: str
    ) -> None:
        collection = mongo[database]["sessions_g1"]
        await written(store, document())
        found = await collection.find_one({"_id": KEY})
        assert found is not None
        await collection.insert_one({**found, "_id": "acme/other"})
        await collection.update_one({"_id": KEY}, {"$set": {"revision": 7}})
        for key in (KEY, "acme/other"):
            with pytest.raises(DamagedDocumentsError, match="not what lies beside it"):
                await store.load([key])

    async def test_a_stopped_beginning_that_goes_on_deletes_nothing_written_since(
        self, store: MongoWarmStore, mongo: Client, database: str, clock: Clock
    ) -> None:
        """The stopped one has read what to delete; its successor begins, and folds the same document again."""
        await written(store, document())
        zombie = MongoWarmStore(mongo[database], 1, now_ms=clock)
        collection = mongo[database]["sessions_g1"]
        seen = await collection.find({"partition": PARTITION}).to_list()
        await store.begin(ERA, PARTITION, 0)
        clock.now_ms += 1
        await written(store, document())
        incarnation = {field: seen[0][field] for field in ("_id", "revision", "checksum", "written_at_ms")}
        assert (await collection.delete_one(incarnation)).deleted_count == 0
        await zombie.begin(ERA, PARTITION, 0)
        assert set(await store.load([KEY])) == {KEY}

    async def test_generations_do_not_see_each_other(self, store: MongoWarmStore, mongo: Client, database: str) -> None:
        await written(store, document())
        await store.begin(ERA, PARTITION + 1, 5)
        other = MongoWarmStore(mongo[database], 2, now_ms=Clock())
        assert await other.load([KEY]) == {}
        assert await other.watermark(ERA, PARTITION + 1) is None


@pytest.fixture
async def silent_address() -> AsyncIterator[str]:
    """A server that accepts connections and never answers, as a stopped one does."""
    gone = asyncio.Event()

    async def never_answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    yield f"mongodb://user:s3cr3t@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gone.set()
    server.close()
    await server.wait_closed()


async def test_a_silent_server_is_unavailable_with_a_hint_and_without_the_password(silent_address: str) -> None:
    async with connect(MongoSettings(url=silent_address, timeout_s=0.2)) as client:
        store = MongoWarmStore(client["views"], 1, now_ms=Clock())
        calls: list[Awaitable[object]] = [
            store.load([KEY]),
            store.write_sessions([SessionWrite(document(), None)]),
            store.insert_timeline([(KEY, entry(1))]),
            store.close_batch(ClosedBatch(ERA, PARTITION, 0, 1, [FOREIGN])),
            store.begin(ERA, PARTITION, 0),
            store.ensure_indexes(),
        ]
        for call in calls:
            with pytest.raises(UnavailableError, match="EVERLOG_MONGO__URL") as raised:
                await call
            assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "mongodb://", "mongodb://host:port"])
def test_a_wrong_address_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="EVERLOG_MONGO__URL"):
        connect(MongoSettings(url=url))
