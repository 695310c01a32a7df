"""Every bound of rules 1, met and passed by one."""

from __future__ import annotations

from typing import Any

from everlog.schemas import limits
from everlog.schemas.identifiers import full_type
from histories.recorded import Fill
from histories.recording import Recording, history, message

FILL = "@fill@"
FILE = {"uri": "s3://a", "sha256": "0" * 64, "size_bytes": 1, "media_type": "text/plain"}
ARTIFACT = {**FILE, "artifact": "a", "name": "a"}


def letters(number: int) -> Fill:
    """So many letters."""
    return Fill(FILL, "x", number)


def met_and_passed(
    log: Recording, bound: str, type_name: str, data: dict[str, Any], *, most: int | None = None, **attributes: Any
) -> None:
    """So many letters as a bound allows are accepted, one more is malformed."""
    number = most if most is not None else getattr(limits, bound)
    for outcome, many in (("accepted", number), ("malformed", number + 1)):
        log.add(outcome, type_name, data, bound=bound, why=f"{many} letters", fill=letters(many), **attributes)


@history("bounds-of-texts")
def texts(log: Recording) -> None:
    """Texts, names and identifiers: each at its longest, and one character longer."""
    log.created()
    met_and_passed(log, "TITLE_CHARACTERS", "session.metadata_updated", {"title": FILL})
    wide = Fill(FILL, "😀", limits.TITLE_CHARACTERS)
    log.add("accepted", "session.metadata_updated", {"title": FILL}, fill=wide, why="characters are code points")
    met_and_passed(log, "LABEL_VALUE_CHARACTERS", "session.metadata_updated", {"labels": {"team": FILL}})
    met_and_passed(log, "TEXT_CHARACTERS", "message.redacted", {"version": 1, "reason": FILL})
    met_and_passed(log, "NAME_CHARACTERS", "run.started", {"run": "run-1", "agent": FILL})
    log.add("malformed", "run.started", {"run": "run-2", "agent": ""}, bound="NAME_CHARACTERS", why="and one at least")
    met_and_passed(log, "STATE_KEY_CHARACTERS", "state.patched", {"set": {FILL: 1}})
    log.add("malformed", "state.patched", {"set": {"": 1}}, bound="STATE_KEY_CHARACTERS")
    met_and_passed(log, "URI_CHARACTERS", "artifact.added", {**ARTIFACT, "uri": FILL})
    met_and_passed(log, "", "artifact.added", {**ARTIFACT, "media_type": FILL}, most=128)
    met_and_passed(log, "ID_CHARACTERS", "message.appended", message("hi"), id=FILL)
    met_and_passed(log, "ID_CHARACTERS", "tool_call.requested", {"tool_call": FILL, "name": "x"})
    met_and_passed(log, "ID_CHARACTERS", "message.appended", message("hi"), correlationid=FILL)
    met_and_passed(log, "", "message.appended", message("hi"), source=f"/{FILL}", most=255)
    most = limits.ID_CHARACTERS - len("org.")
    met_and_passed(log, "ID_CHARACTERS", "long.name", {}, most=most, type=f"org.{FILL}")
    log.add("accepted", "a@fill@", {}, fill=Fill(FILL, ".b", 15), why="a type has sixteen parts at most")
    log.add("malformed", "a@fill@", {}, fill=Fill(FILL, ".b", 16))


@history("bounds-of-values")
def values(log: Recording) -> None:
    """The size of a value, the depth of data, and the range of numbers."""
    log.created()
    most = limits.VALUE_BYTES - len(log.written("message.appended", message("")))
    met_and_passed(log, "VALUE_BYTES", "message.appended", message(FILL), most=most)
    for name, in_data, around in (
        ("org.example.thing", {"a": FILL}, 1),
        ("state.patched", {"set": {"a": FILL}}, 2),
        ("message.appended", {"role": "user", "parts": [{"type": "data", "data": FILL}]}, 3),
        ("tool_call.requested", {"tool_call": "c", "name": "x", "arguments": FILL}, 1),
        ("batch.appended", {"events": [{"type": "everlog.state.patched.v1", "data": {"set": {"b": FILL}}}]}, 5),
    ):
        log.add("accepted", name, in_data, bound="JSON_DEPTH", fill=nested(limits.JSON_DEPTH - around))
        log.add("malformed", name, in_data, bound="JSON_DEPTH", fill=nested(limits.JSON_DEPTH - around + 1))
    most = limits.SAFE_INTEGER
    log.add("accepted", "state.patched", {"set": {"least": -most, "most": most}}, bound="SAFE_INTEGER")
    for number in ("9007199254740992", "-9007199254740992", "1e400"):
        log.bent("malformed", '"a":0', f'"a":{number}', "state.patched", {"set": {"a": 0}}, bound="SAFE_INTEGER")
    log.add("version_conflict", "message.appended", message("hi"), expectedversion=most, bound="SAFE_INTEGER")
    log.bent("malformed", str(most), str(most + 1), "message.appended", message("hi"), expectedversion=most)
    lease = {"participant": "ada", "ttl_s": limits.LEASE_TTL_S}
    log.add("accepted", "lease.acquired", lease, bound="LEASE_TTL_S")
    log.add("malformed", "lease.acquired", {**lease, "ttl_s": limits.LEASE_TTL_S + 1}, bound="LEASE_TTL_S")
    log.add("malformed", "lease.acquired", {**lease, "ttl_s": 0}, bound="LEASE_TTL_S")


def nested(depth: int) -> Fill:
    """Arrays in arrays."""
    return Fill(f'"{FILL}"', "[" * depth + "]" * depth, 1)


@history("bounds-of-lists")
def lists(log: Recording) -> None:
    """Inner events of a batch, parts of a message, labels of a session."""
    log.created()
    inner = '{"data":{"n":1@n@},"type":"org.example.thing"}'
    for number, outcome in ((limits.BATCH_EVENTS, "accepted"), (limits.BATCH_EVENTS + 1, "malformed")):
        fill = Fill(f'"{FILL}"', inner, number, ",")
        log.add(outcome, "batch.appended", {"events": [FILL]}, bound="BATCH_EVENTS", fill=fill)
    last = {"version": 2, "index": limits.BATCH_EVENTS - 1}
    log.add("accepted", "message.redacted", last, bound="BATCH_EVENTS")
    log.add("malformed", "message.redacted", {**last, "index": limits.BATCH_EVENTS}, bound="BATCH_EVENTS")
    for number, outcome in ((limits.PARTS, "accepted"), (limits.PARTS + 1, "malformed")):
        fill = Fill(f'"{FILL}"', '{"text":"@n@","type":"text"}', number, ",")
        log.add(outcome, "message.appended", {"role": "user", "parts": [FILL]}, bound="PARTS", fill=fill)
    for number, outcome in ((limits.LABELS, "accepted"), (limits.LABELS + 1, "malformed")):
        fill = Fill(f'"{FILL}":""', '"l@n@":"x"', number, ",")
        log.add(outcome, "session.metadata_updated", {"labels": {FILL: ""}}, bound="LABELS", fill=fill)
    log.add(
        "limit_exceeded", "session.metadata_updated", {"labels": {"one": "more"}}, bound="LABELS", detail=("labels",)
    )
    log.add(
        "accepted", "session.metadata_updated", {"labels": {"l000": None, "one": "more"}}, why="one goes, one comes"
    )
    log.add("accepted", "session.metadata_updated", {"labels": {"one": "other"}})
    batch = [{"labels": {"l001": None}}, {"labels": {"two": "x"}}, {"labels": {"three": "x"}}]
    events = {"events": [{"type": full_type("session.metadata_updated"), "data": data} for data in batch]}
    log.add("limit_exceeded", "batch.appended", events, bound="LABELS", detail=("events[2]", "labels"))


@history("bounds-of-a-creation")
def creation(log: Recording) -> None:
    """A creation that passes a bound of its form is malformed; one whose state document is too large is refused. It
    leaves no session, so that the next may be accepted, with 512 participants."""
    members = '{"kind":"human","participant":"p@n@","principal":"p"}'
    most = limits.PRESENT_PARTICIPANTS - 1
    too_many = Fill(f'"{FILL}"', members, most + 1, ",")
    log.add(
        "malformed",
        "session.created",
        {"owner": "ada", "participants": [FILL]},
        bound="PRESENT_PARTICIPANTS",
        fill=too_many,
    )
    fill = Fill(f'"{FILL}":""', '"l@n@":""', limits.LABELS + 1, ",")
    log.add("malformed", "session.created", {"owner": "ada", "labels": {FILL: ""}}, bound="LABELS", fill=fill)
    large = letters(limits.STATE_BYTES - len('"a"""') + 1)
    log.add(
        "limit_exceeded",
        "session.created",
        {"owner": "ada", "state": {"a": FILL}},
        bound="STATE_BYTES",
        detail=("state_bytes",),
        fill=large,
    )
    log.said("not_found")
    fill = Fill(f'"{FILL}"', members, most, ",")
    log.add(
        "accepted", "session.created", {"owner": "ada", "participants": [FILL]}, bound="PRESENT_PARTICIPANTS", fill=fill
    )
    bob = {"participant": "bob", "principal": "bob", "kind": "human"}
    log.add("limit_exceeded", "participant.joined", bob, bound="PRESENT_PARTICIPANTS", detail=("present_participants",))
    log.add("already_open", "participant.joined", {**bob, "participant": "p007"}, why="comes before limit_exceeded")
    log.add("accepted", "participant.left", {"participant": "p000"})
    log.add("accepted", "participant.joined", bob)
    log.add("accepted", "participant.left", {"participant": "ada"}, why="the absent owner takes no place")
    log.add("accepted", "participant.joined", {**bob, "participant": "cy"})
    log.add("limit_exceeded", "participant.joined", {**bob, "participant": "ada"}, detail=("present_participants",))


@history("bounds-of-the-state-document")
def state_document(log: Recording) -> None:
    """The state document counts its keys and values in canonical bytes, nothing between them; 32 KiB and 256 keys."""
    most = limits.STATE_BYTES - len('"a"""')
    log.created(state={"city": "Rome"})
    log.add(
        "limit_exceeded",
        "state.patched",
        {"set": {"a": FILL}},
        bound="STATE_BYTES",
        fill=letters(most),
        detail=("state_bytes",),
    )
    log.add(
        "accepted", "state.patched", {"set": {"a": FILL}, "unset": ["city"]}, bound="STATE_BYTES", fill=letters(most)
    )
    log.add("limit_exceeded", "state.patched", {"set": {"b": 1}}, bound="STATE_BYTES", detail=("state_bytes",))
    log.add("accepted", "state.patched", {"set": {"a": "ü😀\n"}}, why="replaced: its bytes are free")
    umlauts = Fill(FILL, "ü", (limits.STATE_BYTES - len('"a"""') - len('"b"1')) // 2)
    log.add("accepted", "state.patched", {"set": {"a": FILL}}, fill=umlauts, why="bytes of UTF-8, not characters")
    log.add("accepted", "state.patched", {"set": {"b": 1}}, bound="STATE_BYTES", why="one byte is left")
    back = {"to_version": 1, "state": {"a": FILL, "b": 1}}
    log.add("limit_exceeded", "session.rewound", back, fill=letters(most), expectedversion=5, detail=("state_bytes",))
    log.add("accepted", "session.rewound", {"to_version": 1, "state": {"city": "Rome"}}, expectedversion=5)
    for number, outcome in (
        (limits.STATE_KEYS + 1, "malformed"),
        (limits.STATE_KEYS, "limit_exceeded"),
        (limits.STATE_KEYS - 1, "accepted"),
    ):
        fill = Fill(f'"{FILL}":""', '"k@n@":0', number, ",")
        log.add(outcome, "state.patched", {"set": {FILL: ""}}, bound="STATE_KEYS", fill=fill)
    log.add("limit_exceeded", "state.patched", {"set": {"one": 0}}, bound="STATE_KEYS", detail=("state_keys",))
    log.add("accepted", "state.patched", {"set": {"one": 0}, "unset": ["city", "city", "never"]}, bound="STATE_KEYS")
    log.add(
        "limit_exceeded", "state.patched", {"set": {"one": 1, "two": 0}, "unset": ["never"]}, detail=("state_keys",)
    )
    both = {"set": {"two": FILL}}
    log.add("limit_exceeded", "state.patched", both, fill=letters(most), detail=("state_keys",), why="keys come first")


@history("bounds-of-open-references")
def open_references(log: Recording) -> None:
    """256 runs, 256 tool calls and 256 interrupts may be open at once, each kind for itself."""
    log.created()
    for what, opens, data, ends in (
        ("runs", "run.started", {"agent": "x"}, ("run.canceled", {})),
        (
            "tool_calls",
            "tool_call.requested",
            {"name": "x"},
            ("tool_call.failed", {"error": {"type": "x", "message": ""}}),
        ),
        (
            "interrupts",
            "interrupt.raised",
            {"reason": "x", "message": ""},
            ("interrupt.resolved", {"status": "cancelled"}),
        ),
    ):
        named = what[:-1]
        log.add("accepted", opens, {**data, named: "n@i@"}, repeat=limits.OPEN_REFERENCES, bound="OPEN_REFERENCES")
        log.add("limit_exceeded", opens, {**data, named: "more"}, bound="OPEN_REFERENCES", detail=(f"open_{what}",))
        log.add("already_open", opens, {**data, named: "n000"}, detail=("n000",), why="comes before limit_exceeded")
        log.add("accepted", ends[0], {**ends[1], named: "n000"})
        log.add("accepted", opens, {**data, named: "more"})


@history("bounds-of-the-artifact-index")
def artifact_index(log: Recording) -> None:
    """The newest 256 artifacts are listed; nothing is refused."""
    log.created()
    log.add("accepted", "artifact.added", {**ARTIFACT, "artifact": "a@i@"}, repeat=limits.ARTIFACTS, bound="ARTIFACTS")
    log.add("accepted", "artifact.added", {**ARTIFACT, "artifact": "last"}, bound="ARTIFACTS", why="the first leaves")
