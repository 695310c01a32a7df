"""The limits of rules 1. Each is part of the rules: never change one, a new number goes into new rules.

Sizes are bytes of UTF-8, counts are items.
"""

from __future__ import annotations

from typing import Final

VALUE_BYTES: Final = 256 * 1024
"""One record's value: well under Kafka's default 1 MiB request, so that a batch of records fits one."""

ID_CHARACTERS: Final = 128
"""An identifier: long enough for a URN or two UUIDs, short enough for a key."""

BATCH_EVENTS: Final = 200
"""Inner events of one atomic batch."""

LABELS: Final = 64
"""Labels of a session: each is an index entry for searching."""

LABEL_VALUE_CHARACTERS: Final = 256
"""One label's value."""

TITLE_CHARACTERS: Final = 512
"""A title is one line."""

TEXT_CHARACTERS: Final = 4096
"""A reason or an outcome: a paragraph, not a document."""

STATE_KEY_CHARACTERS: Final = 128
"""A key of the state document."""

STATE_BYTES: Final = 32 * 1024
"""The state document, keys and values in canonical JSON: it is rewritten with every batch."""

STATE_KEYS: Final = 256
"""Keys of the state document: each has a version in the standing."""

PRESENT_PARTICIPANTS: Final = 512
"""Participants present at once."""

PARTS: Final = 256
"""Parts of one message."""

OPEN_REFERENCES: Final = 256
"""Runs, tool calls and interrupts that are open at once, each kind for itself."""

ARTIFACTS: Final = 256
"""Artifacts that a state lists; the newest are kept, all are in the timeline."""

NAME_CHARACTERS: Final = 256
"""A name of a tool, a model, an artifact."""

URI_CHARACTERS: Final = 1024
"""An address: what proxies and browsers still take."""

LEASE_TTL_S: Final = 3600
"""The longest lease, seconds: a holder that is silent for an hour is dead."""

JSON_DEPTH: Final = 32
"""Nesting of an event's data, the data itself counted: deeper documents break readers in other languages."""

SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps (RFC 7493, section 2.2)."""

RING_ACCEPTED: Final = 256
"""Accepted events whose outcome a session remembers."""

RING_REJECTED: Final = 64
"""Rejected events whose outcome a session remembers."""
