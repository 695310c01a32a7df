"""A projector that folds the log in batches of any size and may crash between any two of its writes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from everlog.domain import fold as law
from everlog.domain.fold import SessionFold, Stretch, route
from everlog.domain.state import State
from everlog.domain.stored import Base, Loaded, Rejection, TimelineEntry, checksum, decode_stored, encode_stored
from everlog.domain.verdicts import Verdict, unpack
from simulation.network import PARTITION, PARTITIONS, SimulatedLog
from simulation.violation import demand

ERA = 0
BATCH_MAX = 40
"""Records of a batch: several batches to a schedule, several sessions to a batch."""
CRASHES = 0.25
"""How often a batch does not come to its end."""
FROM_MEMORY = 0.5
"""How often the state of the batch before is used as it is, and not read from the store."""


class Projector:
    """Folds with the law's own functions, and keeps what a warm store would keep."""

    def __init__(self, log: SimulatedLog, chance: Random) -> None:
        self._log, self._chance = log, chance
        self.watermark = 0
        self.outcomes: dict[int, int] = {}
        """Packed outcomes below the watermark, by offset."""
        self.documents: dict[str, bytes] = {}
        self.entries: dict[tuple[str, int], TimelineEntry] = {}
        self.rejections: dict[str, Rejection] = {}
        self._cached: dict[str, Loaded] = {}
        self._seen: dict[str, tuple[bytes, State | None]] = {}
        self._said: dict[int, int] = {}
        self._waiting: dict[int, list[Callable[[Verdict], None]]] = {}

    @property
    def is_behind(self) -> bool:
        """Whether the log has more than was folded."""
        return self.watermark < len(self._log.records)

    def state(self, key: str) -> State | None:
        """A session's state as readers see it; not to be changed."""
        blob = self.documents.get(key)
        if blob is None:
            return None
        if key not in self._seen or self._seen[key][0] is not blob:
            self._seen[key] = (blob, decode_stored(blob).state)
        return self._seen[key][1]

    def when_published(self, offset: int, tell: Callable[[Verdict], None]) -> None:
        """Tell the verdict of a record, now or as soon as there is one."""
        if offset in self.outcomes:
            _tell(tell, self.outcomes[offset])
        else:
            self._waiting.setdefault(offset, []).append(tell)

    def work(self) -> None:
        """Take a batch from the watermark on; a crash forgets what is only in memory, and the batch comes again."""
        batch = self._log.records[self.watermark :][: self._chance.randint(1, BATCH_MAX)]
        stretch = Stretch(ERA, PARTITION, self.watermark)
        sessions, foreign = route(batch, PARTITION, PARTITIONS)
        folds = [law.fold_session(key, self._load(key), records, stretch) for key, records in sessions.items()]
        outcomes = dict(foreign + [pair for fold in folds for pair in fold.outcomes])
        for offset, outcome in outcomes.items():
            demand(self._said.setdefault(offset, outcome) == outcome, f"the verdict on offset {offset} changed")
        crash = self._chance.random() < CRASHES
        written = self._chance.randint(0, len(folds)) if crash else len(folds)
        self._insert(folds)
        for fold in folds[:written]:
            self._write(fold)
        if crash:
            self._cached.clear()
            return
        self.outcomes |= outcomes
        self.watermark += len(batch)
        for offset, outcome in outcomes.items():
            for tell in self._waiting.pop(offset, ()):
                _tell(tell, outcome)

    def _load(self, key: str) -> Loaded | None:
        cached = self._cached.pop(key, None)
        if cached is not None and self._chance.random() < FROM_MEMORY:
            return cached
        blob = self.documents.get(key)
        if blob is None:
            return None
        stored = decode_stored(blob)
        return Loaded(stored, Base(stored.revision, checksum(blob)))

    def _insert(self, folds: list[SessionFold]) -> None:
        """Insert only: what is there already must be the same."""
        for fold in folds:
            for entry in fold.entries:
                there = self.entries.setdefault((fold.key, entry.version), entry)
                demand(there == entry, f"version {entry.version} of {fold.key} is of two records")
            for rejection in fold.rejections:
                self.rejections.setdefault(rejection.id, rejection)

    def _write(self, fold: SessionFold) -> None:
        if fold.document is not None:
            blob = self.documents[fold.key] = encode_stored(fold.document)
            self._cached[fold.key] = Loaded(fold.document, Base(fold.document.revision, checksum(blob)))


def _tell(tell: Callable[[Verdict], None], outcome: int) -> None:
    verdict = unpack(outcome)
    if verdict is not None:
        tell(verdict)
