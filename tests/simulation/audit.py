"""What must hold when a schedule is over: the log, the projection and every answer say the same."""

from __future__ import annotations

import msgspec

from everlog.domain.fold import Stretch, fold_session
from everlog.domain.record import LogRecord
from everlog.domain.state import state_hash
from everlog.domain.stored import decode_stored, encode_stored
from everlog.domain.verdicts import Accepted, unpack
from simulation.model import CREATION, Session
from simulation.network import PARTITION, SimulatedLog
from simulation.projector import ERA, Projector
from simulation.violation import demand
from simulation.writer import Answer


def audit(log: SimulatedLog, projector: Projector, answers: list[Answer]) -> dict[str, Session]:
    """Raise ``Violation`` where they differ; returns the sessions as a plain reader sees them."""
    demand(sorted(projector.outcomes) == list(range(len(log.records))), "a record has no verdict")
    _audit_answers(log, projector, answers)
    by_session: dict[str, list[LogRecord]] = {}
    for record in log.records:
        assert record.key is not None
        by_session.setdefault(record.key.decode(), []).append(record)
    sessions = {}
    for key, records in by_session.items():
        _audit_fold(key, records, projector)
        sessions[key] = _read_plainly(records, projector)
    return sessions


def _audit_answers(log: SimulatedLog, projector: Projector, answers: list[Answer]) -> None:
    for answer in answers:
        value = log.records[answer.offset].value or b""
        named = f'"correlationid":"{answer.wish}"'.encode()
        demand(named in value, f"acknowledged and not on the log: {answer}")
        if isinstance(answer.verdict, Accepted):
            entry = projector.entries.get((answer.key, answer.verdict.version))
            demand(
                entry is not None and (named in entry.value or _content(entry.value) == _content(value)),
                f"said to be accepted and not in the timeline: {answer}",
            )


def _content(value: bytes) -> object:
    """What makes two creations the same, whatever their ids."""
    event = msgspec.json.decode(value)
    return (event["type"], event["actor"], event["data"]) if event["type"] == CREATION else value


def _audit_fold(key: str, records: list[LogRecord], projector: Projector) -> None:
    """The log folded at once gives what was folded bit by bit, with crashes."""
    whole = fold_session(key, None, records, Stretch(ERA, PARTITION, 0))
    for offset, outcome in whole.outcomes:
        demand(projector.outcomes[offset] == outcome, f"offset {offset}: the verdict depends on the batch")
    for entry in whole.entries:
        demand(projector.entries.get((key, entry.version)) == entry, f"{key}: version {entry.version} differs")
    for rejection in whole.rejections:
        demand(rejection.id in projector.rejections, f"the rejection {rejection.id} is missing")
    demand(len(whole.entries) == sum(1 for name, _ in projector.entries if name == key), f"{key}: an entry too many")
    blob = projector.documents.get(key)
    if whole.document is None or whole.document.state is None or blob is None:
        demand(whole.document is None and blob is None, f"{key}: a document without a session")
        return
    stored = decode_stored(blob)
    demand(stored.state is not None and state_hash(stored.state) == state_hash(whole.document.state), f"{key}: hash")
    demand(
        encode_stored(msgspec.structs.replace(stored, revision=1, outcomes=[]))
        == encode_stored(msgspec.structs.replace(whole.document, revision=1, outcomes=[])),
        f"{key}: the document, its ring included, depends on the batches",
    )


def _read_plainly(records: list[LogRecord], projector: Projector) -> Session:
    session = Session()
    for record in records:
        verdict = unpack(projector.outcomes[record.offset])
        demand(verdict is not None, f"offset {record.offset} belongs to no session")
        assert verdict is not None
        session.follow(msgspec.json.decode(record.value or b""), verdict)
    return session
