"""What is no event, what is one though no door writes it so, and what belongs elsewhere."""

from __future__ import annotations

import json
from typing import Any

from histories.recording import Recording, history, message

OWN = ("org.example.thing", {"a": 1})
SHA = "0" * 64


@history("malformed-bytes")
def malformed_bytes(log: Recording) -> None:
    """What is no JSON that every reader keeps is no event, wherever in it. The id is told where it can be read."""
    log.raw("malformed", None, why="no value; and no session yet")
    log.created()
    log.raw("malformed", "")
    log.raw("malformed", "null")
    log.raw("malformed", "[]")
    log.raw("malformed", "{}")
    log.raw("malformed", "not JSON")
    log.raw("malformed", b"\xff\xfe", why="not UTF-8")
    log.raw("malformed", log.written("message.appended", message("hi")).encode().replace(b"hi", b"h\xff"))
    log.raw("malformed", "\ufeff" + log.written("message.appended", message("hi")), why="a byte order mark")
    log.raw("malformed", log.written("message.appended", message("hi"))[:-1], why="cut off")
    log.raw("malformed", log.written("message.appended", message("hi")) + "{}", why="something behind it")
    log.bent("malformed", '"hi"', '"h\ni"', why="a control character that is not escaped")
    log.bent("malformed", '"hi"', '"\\ud800"', why="a lone surrogate")
    log.bent("malformed", '"hi"', '"\\udc00\\ud800"', why="two, the wrong way round")
    log.bent("malformed", '"a"', '"\\ud800"', *OWN, why="in a key")
    log.bent("malformed", '"actor":"ada"', '"actor":"ada","actor":"ada"', why="an attribute twice")
    log.bent("malformed", '"role":"user"', '"role":"user","role":"user"', why="a field twice")
    log.bent("malformed", '"a":1', '"a":1,"a":1', *OWN, why="a free key twice")
    log.bent("malformed", '"a":1', '"a":1,"\\u0061":1', *OWN, why="a free key twice, once escaped")
    log.bent("malformed", '"a":1', '"a":{"b":[{"c":0,"c":0}]}', *OWN, why="deep inside")
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "01", "+1", ".5", "1.", "0x1", "9007199254740992"):
        log.bent("malformed", '"a":1', f'"a":{number}', *OWN)
    log.bent("malformed", '"a":1', '"a":1,', *OWN, why="a comma too many")
    log.bent("malformed", '"a":1', '"a":1/* */', *OWN, why="a comment")
    log.bent("malformed", '"a":1', "'a':1", *OWN)
    log.said("accepted")


@history("malformed-envelopes")
def malformed_envelopes(log: Recording) -> None:
    """Every attribute has its form; none that is required may be missing or null, and there are no others."""
    log.created()
    for name, value in (
        ("specversion", '"1.0"'), ("id", '"e"'), ("source", '"/mads/planner"'),
        ("type", '"everlog.message.appended.v1"'), ("subject", '"rome-42"'),
        ("tenantid", '"acme"'), ("time", '"2026-01-02T03:04:05Z"'), ("actor", '"ada"'),
    ):  # fmt: skip
        whole = f'"{name}":{value},'
        log.bent("malformed", whole, "", id="e", time="2026-01-02T03:04:05Z", why=f"no {name}")
        log.bent("malformed", whole, f'"{name}":null,', id="e", time="2026-01-02T03:04:05Z")
    data = '"data":{"parts":[{"text":"hi","type":"text"}],"role":"user"}'
    log.bent("malformed", f",{data}", "", why="no data")
    for other in ("null", "[]", '"{}"', "{}", '{"role":"user"}'):
        log.bent("malformed", data, f'"data":{other}')
    log.bent(
        "malformed", '"specversion"', '"datacontenttype":"application/json","specversion"', why="an unknown attribute"
    )
    log.bent("malformed", '"specversion"', '"expectedVersion":1,"specversion"', why="names are of lower-case letters")
    log.bent("malformed", '"1.0"', '"0.3"')
    for wrong in ('""', '"a b"', '"a/b"', '"a#b"', '"ä"', '"a\\n"', '"a\\u0000"', "7"):
        log.bent("malformed", '"id":"e"', f'"id":{wrong}', id="e")
    for name in ("subject", "tenantid", "actor", "correlationid", "causationid"):
        attribute = {name: "wrong"}
        log.bent("malformed", f'"{name}":"wrong"', f'"{name}":"a/b"', "message.appended", message("hi"), **attribute)
    for wrong in ("mads/planner", "/", "/a b", "/ä", "https://example.org"):
        log.bent("malformed", "/mads/planner", wrong)
    for wrong in (
        "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05Z",
        "2026-01-02t03:04:05z",
        "2026-13-02T03:04:05Z", "2026-01-32T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:61Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.1234567890Z", "٢٠٢٦-01-02T03:04:05Z", "",
    ):  # fmt: skip
        log.bent("malformed", '"time":"now"', f'"time":"{wrong}"', time="now")
    for wrong in (
        "message",
        "Org.example",
        "org..example",
        "org.example.",
        "1.b",
        "org.ex-ample",
        "everlog.never.heard.v1",
        "everlog.message.appended.v2",
        "",
    ):
        log.bent("malformed", '"type":"t"', f'"type":"{wrong}"', "t", {})
    for name in ("expectedversion", "leaseepoch", "seenversion"):
        given: dict[str, Any] = {name: 1}
        for wrong in ('"1"', "-1", "1.0", "1e0", "true", "9007199254740992"):
            log.bent("malformed", f'"{name}":1', f'"{name}":{wrong}', "message.appended", message("hi"), **given)
    for wrong in ("1", '"true"', "null"):
        log.bent("malformed", '"retry":true', f'"retry":{wrong}', retry=True)
    for wrong in ("0", "-1", '"1"', "1.0", "true", "null", "9007199254740992"):
        log.bent("malformed", '"data"', f'"rules":{wrong},"data"')
    log.said("accepted")


@history("malformed-data")
def malformed_data(log: Recording) -> None:
    """Data are exactly of their type: no unknown fields, no lax types, no names of the system."""
    log.created()
    bob = {"participant": "bob", "principal": "bob", "kind": "human"}
    part = {"type": "text", "text": "hi"}
    said: dict[str, Any] = {"role": "user", "parts": [part]}
    begun: dict[str, Any] = {"owner": "ada"}
    artifact = {
        "artifact": "a",
        "name": "a",
        "media_type": "text/plain",
        "size_bytes": 1,
        "sha256": SHA,
        "uri": "s3://a",
    }
    error = {"type": "x", "message": ""}
    for name, data in (
        ("session.created", {}),
        ("session.created", {**begun, "owner": "system:clock"}),
        ("session.created", {**begun, "participants": [{**bob, "participant": "system:clock"}]}),
        ("session.created", {**begun, "participants": [bob, bob]}),
        ("session.created", {**begun, "participants": [{**bob, "participant": "ada"}]}),
        ("session.created", {**begun, "owner_kind": "robot"}),
        ("session.created", {**begun, "title": 7}),
        ("session.created", {**begun, "labels": {"a b": "x"}}),
        ("session.created", {**begun, "labels": {"a": None}}),
        ("session.created", {**begun, "labels": []}),
        ("session.created", {**begun, "state": None}),
        ("session.created", {**begun, "forked_from": {"session": "x", "version": 0}}),
        ("session.created", {**begun, "summary": {"from_version": 2, "to_version": 1, "parts": [part]}}),
        ("session.metadata_updated", {"labels": {"a": 1}}),
        ("session.metadata_updated", {"label": {}}),
        ("session.suspended", {"reason": 1}),
        ("session.closed", {"reason": "x"}),
        ("session.erased", {"reason": "x"}),
        ("session.erased", {"reason": "x", "requested_by": "a b"}),
        ("participant.joined", {**bob, "participant": "system:clock"}),
        ("participant.joined", {"participant": "bob", "principal": "bob"}),
        ("participant.joined", {**bob, "role": "admin"}),
        ("participant.left", {}),
        ("participant.role_changed", {"participant": "bob"}),
        ("lease.acquired", {"participant": "ada"}),
        ("lease.acquired", {"participant": "ada", "ttl_s": "30"}),
        ("lease.acquired", {"participant": "ada", "ttl_s": 30, "supersedes": -1}),
        ("lease.released", {"participant": "ada", "epoch": 0}),
        ("lease.revoked", {"participant": "ada"}),
        ("run.started", {"run": "a b", "agent": "x"}),
        ("run.started", {"run": "a"}),
        ("run.completed", {"run": "a", "usage": {"input_tokens": -1}}),
        ("run.completed", {"run": "a", "usage": {"tokens": 1}}),
        ("run.failed", {"run": "a"}),
        ("run.failed", {"run": "a", "error": {**error, "retryable": "yes"}}),
        ("run.canceled", {"run": "a", "usage": {}}),
        ("message.appended", {**said, "role": "narrator"}),
        ("message.appended", {**said, "parts": []}),
        ("message.appended", {**said, "parts": "hi"}),
        ("message.appended", {**said, "parts": [{"text": "hi"}]}),
        ("message.appended", {**said, "parts": [{**part, "type": "video"}]}),
        ("message.appended", {**said, "parts": [{**part, "lang": "en"}]}),
        ("message.appended", {**said, "parts": [{"type": "file", "sha256": "A" * 64}]}),
        ("message.appended", {**said, "author": "a b"}),
        ("message.appended", {**said, "reply_to": {"version": 0}}),
        ("message.appended", {**said, "reply_to": 1}),
        ("message.edited", {"version": 1}),
        ("message.edited", {"version": 0, "parts": [part]}),
        ("message.redacted", {"version": 1, "index": -1}),
        ("tool_call.requested", {"tool_call": "c"}),
        ("tool_call.completed", {"tool_call": "c", "parts": [part], "duration_ms": 0.5}),
        ("tool_call.failed", {"tool_call": "c", "error": "x"}),
        ("interrupt.raised", {"interrupt": "i", "reason": "x", "message": "", "response_schema": True}),
        ("interrupt.raised", {"interrupt": "i", "reason": "x", "message": "", "expires_at": "soon"}),
        ("interrupt.resolved", {"interrupt": "i", "status": "canceled"}),
        ("state.patched", {"set": []}),
        ("state.patched", {"unset": [1]}),
        ("state.patched", {"expected_keys": {"a": -1}}),
        ("state.patched", {"expected_keys": {"a": None}}),
        ("artifact.added", {**artifact, "sha256": "0" * 63}),
        ("artifact.added", {**artifact, "size_bytes": "1"}),
        ("artifact.added", {**artifact, "uri": ""}),
        ("history.compacted", {"from_version": 2, "to_version": 1, "parts": [part]}),
        ("session.rewound", {"to_version": 1}),
    ):
        log.add("malformed", name, data)
    log.said("accepted")


@history("as-other-doors-write")
def as_other_doors_write(log: Recording) -> None:
    """White space, escapes, another order of attributes, and defaults that are written out: an event like any other,
    and where the data say the same, of the same content."""
    log.created()
    log.add("accepted", "org.example.thing", {"a": 1, "ü": [0, 100, "/"]}, id="own")
    written = log.written("org.example.thing", {"a": 1, "ü": [0, 100, "/"]}, id="own")
    log.raw("duplicate", f"{json.dumps(json.loads(written), indent=1)} \n", why="white space and escapes")
    other = '{"\\u00fc":[-0.0,1e2,"\\/"],"a":1.0}'
    log.raw("duplicate", written.replace('{"a":1,"ü":[0,100,"/"]}', other), why="other escapes, order, numbers")
    order = written.replace('"specversion":"1.0",', "").replace('"data"', '"specversion":"1.0","data"')
    log.raw("duplicate", order, why="another order of attributes")
    defaults = '"expectedversion":null,"leaseepoch":null,"retry":false,"seenversion":null,"rules":1,'
    log.raw("duplicate", written.replace('"data"', f'{defaults}"correlationid":null,"causationid":null,"data"'))
    log.bent(
        "accepted",
        '"role":"user"',
        '"author":null,"role":"user","run":null',
        id="said",
        why="null where absent is meant",
    )
    log.said("id_reused", id="said", why="but the data are hashed as they stand")
    log.bent(
        "accepted",
        '{"a":1}',
        '{"\\ud83d\\ude00":1,"\ufb33":[1e-7,1E21,5e-324,1.7976931348623157e308]}',
        *OWN,
        id="keys",
    )
    log.add(
        "duplicate",
        "org.example.thing",
        {"😀": 1, "\ufb33": [1e-7, 1e21, 5e-324, 1.7976931348623157e308]},
        id="keys",
        why="keys are sorted by UTF-16 units (RFC 8785)",
    )
    log.bent(
        "accepted",
        '"set":{}',
        '"set":{"one":1.0,"zero":-0.0}',
        "state.patched",
        {"set": {}},
        id="numbers",
        why="kept as they were read",
    )
    log.add("duplicate", "state.patched", {"set": {"one": 1, "zero": 0}}, id="numbers")


@history("records-of-no-session")
def records_of_no_session(log: Recording) -> None:
    """An event whose tenant and subject are not its record's key belongs to no session: it is not judged."""
    log.said("foreign", subject="rome-43", why="no session yet")
    log.created()
    log.said("foreign", subject="rome-43")
    log.said("foreign", tenantid="other")
    log.add("foreign", "session.created", {"owner": "eve"}, tenantid="other")
    log.said("accepted")


@history("unknown-rules")
def unknown_rules(log: Recording) -> None:
    """At an event of rules that it does not know a reader must halt, also where it is no event under the rules that it
    does know. These are of a number so high that no code will ever know it; what lies between them is folded without
    them."""
    never = "9007199254740991"
    log.created()
    log.bent("unknown_rules", '"data"', f'"rules":{never},"data"')
    log.said("accepted")
    log.bent(
        "unknown_rules", '"data":{', f'"rules":{never},"new":1,"data":{{"new":1,', why="attributes and fields to come"
    )
    log.bent("unknown_rules", '"type":"t"', f'"type":"everlog.to.come.v1","rules":{never}', "t", {})
    log.bent("malformed", '"data"', f'"rules":{never},"rules":x,"data"', why="no JSON: no rules can be read")
