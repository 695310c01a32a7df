"""Every recorded history folds to exactly what was recorded, for ever; and together they cover the law.

Here a failure means that the law has changed for events that lie on somebody's log. The history is right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from typing import Any, get_args

import pytest

from everlog.domain.event import Event, UnknownRules
from everlog.domain.fold import Stretch, fold_session
from everlog.domain.law import LAW, UnknownRulesError
from everlog.domain.standing import Bound, Kind, Role, Status
from everlog.domain.verdicts import Reason
from everlog.domain.view import FOLD_VERSION
from everlog.schemas import limits
from everlog.schemas.catalogue import TYPE_NAMES
from everlog.schemas.events import AnyEvent
from everlog.schemas.events import Event as AnyType
from histories import recording
from histories.folding import Folded, fold, log_of, readable
from histories.recorded import FOLDER, SUMS, UNKNOWN_RULES, History, Line, load, names, recorded_sums

NAMES = names()
FORGETTING = {"ARTIFACTS", "RING_ACCEPTED", "RING_REJECTED"}
"""Bounds beyond which the oldest goes, so that nothing is refused."""


@cache
def loaded(name: str) -> History:
    return load(name)


def folded_lines(history: History) -> list[Line]:
    """Those at which a reader goes on."""
    return [line for line in history.records if line.verdict["outcome"] != UNKNOWN_RULES]


def values(lines: list[Line]) -> list[bytes | None]:
    return [value for line in lines for value in line.values()]


def judged() -> Iterator[tuple[str, Line, bytes | None, dict[str, Any]]]:
    """Each record of each history, and its verdict."""
    for name in NAMES:
        for line in loaded(name).records:
            for value, verdict in zip(line.values(), line.verdicts(), strict=True):
                yield name, line, value, verdict


def in_stretches(history: History, cuts: list[int]) -> Folded:
    return fold(history.session, log_of(history.session, values(folded_lines(history))), cuts)


def expect(history: History, folded: Folded) -> None:
    """Verdict by verdict, entry by entry, and the state; its view only under the fold version that it was shown by."""
    verdicts = [verdict for line in folded_lines(history) for verdict in line.verdicts()]
    assert folded.verdicts == verdicts
    kept = [
        (verdict["version"], at, value)
        for at, (verdict, value) in enumerate(zip(verdicts, values(folded_lines(history)), strict=True))
        if verdict["outcome"] == "accepted"
    ]
    assert [(entry.version, entry.offset, entry.value) for entry in folded.entries] == kept
    state = readable(folded.state)
    if state is None or history.state is None or history.state["fold_version"] == FOLD_VERSION:
        assert json.loads(json.dumps(state)) == history.state
    else:
        assert json.loads(json.dumps(state["standing"])) == history.state["standing"]


@pytest.mark.parametrize("name", NAMES)
def test_a_history_folds_to_what_was_recorded(name: str) -> None:
    expect(loaded(name), in_stretches(loaded(name), []))


@pytest.mark.parametrize("name", NAMES)
def test_a_history_folds_to_the_same_record_by_record_through_its_stored_form(name: str) -> None:
    history = loaded(name)
    expect(history, in_stretches(history, list(range(1, len(values(folded_lines(history)))))))


@pytest.mark.parametrize("name", NAMES)
def test_a_history_folds_to_the_same_wherever_it_is_cut(name: str) -> None:
    """Of records that are alike, the cuts are behind the first and before the last."""
    history, cuts, at = loaded(name), set(), 0
    for line in folded_lines(history):
        cuts |= {at, at + 1, at + line.repeat - 1}
        at += line.repeat
    for cut in sorted(cuts - {0, at}):
        expect(history, in_stretches(history, [cut]))


def test_a_reader_halts_at_rules_that_it_does_not_know() -> None:
    halts = 0
    for name in NAMES:
        history, before = loaded(name), []
        for line in history.records:
            if line.verdict["outcome"] != UNKNOWN_RULES:
                before += line.values()
                continue
            (value,) = line.values()
            assert LAW.decode(value) == UnknownRules(line.verdict["rules"])
            with pytest.raises(UnknownRulesError):
                fold_session(history.session, None, log_of(history.session, [*before, value]), Stretch(0, 0, 0))
            halts += 1
    assert halts > 0


def test_a_new_reader_reads_every_old_event() -> None:
    """The compatibility gate: what was accepted once still decodes, and is still what the public models say."""
    for _, line, value, verdict in judged():
        if verdict["outcome"] != "accepted":
            continue
        assert value is not None
        decoded = LAW.decode(value)
        assert isinstance(decoded, Event), (line.why, decoded)
        model = AnyEvent.validate_json(value) if decoded.type in TYPE_NAMES else AnyType.model_validate_json(value)
        assert (model.id, model.type) == (decoded.id, decoded.type)


def test_recorded_files_never_change_and_are_never_removed_or_slipped_in() -> None:
    present = {path.name: sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.json")}
    assert present == recorded_sums(), f"histories are only ever added to, and by record.py; see {SUMS.name}"


def test_a_recorded_history_is_not_recorded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recording.DESCRIPTIONS, NAMES[0], lambda log: log.created())
    with pytest.raises(FileExistsError):
        recording.record(NAMES[0])


def test_a_history_that_folds_otherwise_than_described_is_not_recorded() -> None:
    log = recording.Recording()
    log.created()
    log.said("forbidden")
    with pytest.raises(AssertionError, match="the law asks for"):
        log.whole("")


def test_every_type_has_a_history_of_its_name_in_which_it_is_accepted() -> None:
    accepted: dict[str, set[str]] = {}
    for name, _, value, verdict in judged():
        if verdict["outcome"] == "accepted" and value is not None:
            accepted.setdefault(json.loads(value)["type"], set()).add(name)
    assert [name for name in TYPE_NAMES if name not in accepted.get(name, set())] == []


def test_every_verdict_occurs() -> None:
    found = {verdict["outcome"] for _, _, _, verdict in judged()}
    assert found == {"accepted", "foreign", UNKNOWN_RULES} | {reason.text for reason in Reason}


def test_every_bound_that_limit_exceeded_names_is_passed() -> None:
    found = {verdict["detail"][-1] for _, _, _, verdict in judged() if verdict["outcome"] == "limit_exceeded"}
    assert found == set(get_args(Bound))


@pytest.mark.parametrize("bound", [name for name in vars(limits) if name.isupper()])
def test_every_bound_is_met_and_passed(bound: str) -> None:
    outcomes = {verdict["outcome"] for _, line, _, verdict in judged() if line.bound == bound}
    assert "accepted" in outcomes
    assert outcomes & {"malformed", "limit_exceeded"} or bound in FORGETTING


def test_every_status_kind_and_role_occurs() -> None:
    text = b"".join(path.read_bytes() for path in FOLDER.glob("*.json"))
    wanted = [name for names in (Status, Kind, Role) for name in get_args(names)]
    assert [name for name in wanted if f'"{name}"'.encode() not in text] == []
