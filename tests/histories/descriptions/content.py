"""Messages, the state document, artifacts, summaries, applications' own types, and content that stands encrypted."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from everlog.domain.canonical import canonical
from everlog.schemas.content import ciphertext_characters
from everlog.schemas.limits import STATE_BYTES
from histories.recorded import Fill
from histories.recording import Recording, history, message

TEXT = message("hi")["parts"]
FILE = {
    "type": "file",
    "uri": "s3://plans/plan-1.pdf",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 48213,
    "media_type": "application/pdf",
}
ARTIFACT = {**{name: item for name, item in FILE.items() if name != "type"}, "artifact": "plan-1", "name": "plan.pdf"}


def sealed(clear: Any, attempt: int = 1) -> dict[str, Any]:
    """An encrypted value of the right form: nonce and ciphertext of an attempt, size and mac of the clear value."""
    size = len(canonical(clear))

    def text(what: str, length: int) -> str:
        noise = b"".join(sha256(f"{what} {number}".encode()).digest() for number in range(length // 32 + 1))
        return urlsafe_b64encode(noise[:length]).decode().rstrip("=")

    mac, nonce = text(f"mac {canonical(clear)!r}", 16), text(f"nonce {attempt}", 12)
    return {
        "enc": {"key": "key-1", "nonce": nonce, "text": text(f"text {attempt}", size + 16), "size": size, "mac": mac}
    }


@history("everlog.message.appended.v1")
def appended(log: Recording) -> None:
    """Messages of every role and with every kind of part are counted and kept in the timeline; a run that is named
    must be open, a version that is answered reached."""
    log.created()
    log.add("accepted", "message.appended", {"role": "user", "parts": TEXT}, why="the shortest")
    log.add("accepted", "message.appended", message('Grüße aus Łódź 😀 \u2028 \u0007 " \\ /'))
    parts = [
        {"type": "reasoning", "text": "They want a quiet place."},
        {"type": "data", "data": {"hotels": [{"name": "Sole", "price": 99.5}, None]}, "media_type": "application/json"},
        FILE,
        {"type": "text", "text": ""},
    ]
    whole = {"role": "assistant", "parts": parts, "author": "writer", "reply_to": {"version": 3}}
    log.add("accepted", "message.appended", whole, why="an author need not be a participant")
    log.add("accepted", "message.appended", {"role": "system", "parts": TEXT}, actor="system:prompts")
    log.add(
        "accepted", "message.appended", {"role": "developer", "parts": TEXT, "reply_to": {"version": 2, "index": 7}}
    )
    log.add("unknown_reference", "message.appended", {"role": "tool", "parts": TEXT, "run": "run-1"}, detail=("run-1",))
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"})
    log.add("accepted", "message.appended", {"role": "tool", "parts": TEXT, "run": "run-1"}, causationid="e-8")
    ahead = {"role": "user", "parts": TEXT, "reply_to": {"version": 9}}
    log.add("unknown_reference", "message.appended", ahead, detail=("version 9",), why="its own version")
    log.said("version_conflict", expectedversion=7)
    log.said("accepted", expectedversion=8)
    log.said("forbidden", actor="eve")


@history("everlog.message.edited.v1")
def edited(log: Recording) -> None:
    """An edit names a version that is reached; the state does not change, readers merge it."""
    log.created()
    log.said("accepted")
    log.add("accepted", "message.edited", {"version": 2, "parts": message("hello")["parts"]})
    log.add("accepted", "message.edited", {"version": 1, "index": 199, "parts": TEXT}, why="no message: not looked up")
    log.add("unknown_reference", "message.edited", {"version": 5, "parts": TEXT}, detail=("version 5",))


@history("everlog.message.redacted.v1")
def redacted(log: Recording) -> None:
    """A redaction names a version that is reached; the state does not change, the message still counts."""
    log.created()
    log.said("accepted", "my number is 555-0199")
    log.add("accepted", "message.redacted", {"version": 2, "reason": "a phone number"})
    log.add("accepted", "message.redacted", {"version": 2}, why="again")
    log.add("unknown_reference", "message.redacted", {"version": 5, "index": 0}, detail=("version 5",))


@history("everlog.state.patched.v1")
def patched(log: Recording) -> None:
    """The state document changes by top-level key: first unset, then set. A key's version is the version that last
    set it, 0 where it is absent; a conflict names every key that differs, and nothing is changed then."""
    log.created(state={"city": "Rome", "days": 3})
    log.add("accepted", "state.patched", {"set": {"city": "Bari", "hotel": {"name": "Sole", "stars": 4}}})
    log.add("accepted", "state.patched", {"unset": ["days", "never"]})
    stale = {"set": {"city": "x"}, "expected_keys": {"city": 1, "days": 1, "hotel": 2, "new": 1}}
    log.add("key_conflict", "state.patched", stale, detail=("city", "days", "new"))
    right = {"set": {"city": None}, "expected_keys": {"city": 2, "days": 0, "hotel": 2, "new": 0}}
    log.add("accepted", "state.patched", right, why="null is a value")
    log.add("accepted", "state.patched", {"set": {"hotel": "Luna"}, "unset": ["hotel"]}, why="set wins")
    log.add("accepted", "state.patched", {"expected_keys": {"hotel": 5}}, why="changes nothing")
    log.add(
        "accepted",
        "state.patched",
        {"set": {"Grüße 😀 /": [1.5, 1e21, 1e-7, 0.1]}},
        why="numbers as ECMAScript writes them",
    )
    log.add("accepted", "state.patched", {})
    log.add("version_conflict", "state.patched", stale, expectedversion=1, why="comes before key_conflict")


@history("everlog.artifact.added.v1")
def artifact_added(log: Recording) -> None:
    """What was made is listed by its address; the same id again is listed again."""
    log.created()
    log.add("accepted", "artifact.added", ARTIFACT)
    log.add("accepted", "artifact.added", {**ARTIFACT, "name": "plan 2.pdf", "size_bytes": 0})
    log.add("forbidden", "artifact.added", ARTIFACT, actor="eve")


@history("everlog.history.compacted.v1")
def compacted(log: Recording) -> None:
    """The newest summary takes the place of a stretch for models; it ends at a version that is reached."""
    log.created()
    log.said("accepted")
    log.add(
        "accepted", "history.compacted", {"from_version": 1, "to_version": 2, "parts": TEXT, "model": "summariser-2"}
    )
    log.add(
        "unknown_reference",
        "history.compacted",
        {"from_version": 4, "to_version": 4, "parts": TEXT},
        detail=("version 4",),
    )
    log.add(
        "accepted", "history.compacted", {"from_version": 3, "to_version": 3, "parts": TEXT}, why="the newest is shown"
    )
    log.add("malformed", "history.compacted", {"from_version": 2, "to_version": 1, "parts": TEXT})


@history("applications-own-types")
def own_types(log: Recording) -> None:
    """An application's own type is kept verbatim and makes a version, nothing else; all checks of the session and the
    actor hold for it, too."""
    log.add("not_found", "org.example.trip.booked", {})
    log.created(participants=[{"participant": "bot", "principal": "bot", "kind": "agent"}])
    log.add(
        "accepted", "org.example.trip.booked", {"any": {"JSON": ["object", 1.5, None, True]}, "run": "run-1"}, id="own"
    )
    log.add(
        "duplicate", "org.example.trip.booked", {"any": {"JSON": ["object", 1.5, None, True]}, "run": "run-1"}, id="own"
    )
    log.add(
        "id_reused",
        "org.example.trip.changed",
        {"any": {"JSON": ["object", 1.5, None, True]}, "run": "run-1"},
        id="own",
    )
    log.add("accepted", "shortest", {}, type="a.b", why="the shortest name")
    log.add("accepted", "everlogs.session.closed.v1", {}, why="not one of ours")
    log.add("fenced", "org.example.trip.booked", {}, actor="bot")
    log.add("forbidden", "org.example.trip.booked", {}, actor="eve")
    log.add("version_conflict", "org.example.trip.booked", {}, expectedversion=1)


@history("encrypted-content")
def encrypted_content(log: Recording) -> None:
    """Content fields stand encrypted: shown as they are, hashed by size and mac, so that a retry may have another
    nonce and ciphertext; a state value counts by its clear size. What is not exactly of that form is clear JSON where
    any JSON may stand, and malformed where it may not."""
    log.add(
        "accepted",
        "session.created",
        {
            "owner": "ada",
            "title": sealed("Trip"),
            "labels": {"team": sealed("support")},
            "state": {"city": sealed("Rome")},
        },
    )
    log.add(
        "duplicate",
        "session.created",
        {
            "owner": "ada",
            "title": sealed("Trip", 2),
            "labels": {"team": sealed("support", 2)},
            "state": {"city": sealed("Rome", 2)},
        },
        why="the same creation at another attempt",
    )
    log.add("accepted", "message.appended", {"role": "user", "parts": sealed(TEXT)}, id="hello")
    log.add("duplicate", "message.appended", {"role": "user", "parts": sealed(TEXT, 2)}, id="hello", retry=True)
    other_key = {"enc": {**sealed(TEXT, 3)["enc"], "key": "key-2"}}
    log.add(
        "duplicate", "message.appended", {"role": "user", "parts": other_key}, id="hello", why="nor does the key count"
    )
    log.add("id_reused", "message.appended", {"role": "user", "parts": sealed(message("ho")["parts"])}, id="hello")
    log.add(
        "id_reused", "message.appended", {"role": "user", "parts": TEXT}, id="hello", why="clear is another content"
    )
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"})
    log.add("accepted", "run.failed", {"run": "run-1", "error": {"type": "timeout", "message": sealed("too long")}})
    log.add("accepted", "tool_call.requested", {"tool_call": "call-1", "name": "search", "arguments": sealed({"q": 1})})
    log.add("accepted", "interrupt.raised", {"interrupt": "ask-1", "reason": "approval", "message": sealed("Book it?")})
    log.add("accepted", "interrupt.resolved", {"interrupt": "ask-1", "status": "resolved", "payload": sealed(True)})
    log.add("accepted", "tool_call.completed", {"tool_call": "call-1", "parts": sealed(TEXT)})
    log.add("accepted", "message.edited", {"version": 2, "parts": sealed(TEXT)})
    log.add("accepted", "history.compacted", {"from_version": 1, "to_version": 2, "parts": sealed(TEXT)})
    log.add(
        "accepted", "session.metadata_updated", {"title": sealed("Trip to Rome"), "labels": {"tier": sealed("gold")}}
    )
    log.add(
        "accepted",
        "batch.appended",
        {"events": [{"type": "everlog.state.patched.v1", "data": {"set": {"a": sealed(1)}}}]},
    )
    almost = {"enc": {**sealed("Rome")["enc"], "size": 7}}
    log.add("malformed", "session.metadata_updated", {"title": almost}, why="size and ciphertext do not agree")
    log.add("malformed", "session.metadata_updated", {"title": {**sealed("x"), "more": 1}})
    log.add("malformed", "session.metadata_updated", {"title": {"enc": {**sealed("x")["enc"], "mac": "short"}}})
    log.add("malformed", "session.metadata_updated", {"title": {"enc": {**sealed("x")["enc"], "nonce": "short"}}})
    log.add("malformed", "session.suspended", {"reason": sealed("x")}, why="no content field")
    log.add(
        "accepted", "state.patched", {"set": {"almost": almost, "more": {**sealed("x"), "more": 1}}}, why="clear JSON"
    )
    log.add("accepted", "state.patched", {"unset": ["a", "almost", "city", "more"]}, why="the document is empty")
    size = STATE_BYTES - len('"big"')
    large = {"enc": {**sealed("")["enc"], "size": size, "text": "@fill@"}}
    fill = Fill("@fill@", "A", ciphertext_characters(size))
    log.add(
        "accepted", "state.patched", {"set": {"big": large}}, fill=fill, bound="STATE_BYTES", why="just as large, clear"
    )
    log.add("limit_exceeded", "state.patched", {"set": {"b": 1}}, detail=("state_bytes",), bound="STATE_BYTES")
