"""The control store in MongoDB: sources, in a database of their own that a rebuild of the views never touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bson import Int64
from pymongo.errors import DuplicateKeyError

from everlog.adapters.mongo.connection import Database
from everlog.adapters.mongo.errors import translated
from everlog.adapters.mongo.idempotency import MongoIdempotencyStore
from everlog.adapters.mongo.readers import Readers
from everlog.adapters.mongo.requests import Requests
from everlog.adapters.mongo.writes import insert_if_absent
from everlog.domain.view import FOLD_VERSION
from everlog.ports.control import Anchor, Generation, HotEpoch, Live, Reader, Request
from everlog.ports.log import LogIdentity
from everlog.schemas.errors import ControlLostError, LogLostError, NotFoundError

_LOG: Final = "log"
_LIVE: Final = "live"
_UNTOLD_FOLD_VERSION: Final = 1
"""Of a generation that was made before its document told one."""
_VIEWS: Final = r"^(sessions|watermarks)_g[0-9]+$"


class MongoControlStore:
    """A ``ControlStore``. The view database is only looked at, to notice that this one was lost."""

    def __init__(self, control: Database, views: Database) -> None:
        self._views = views
        self._log = control["log"]
        self._generations = control["generations"]
        self._hot_epochs = control["hot_epochs"]
        self._anchors = control["anchors"]
        self._readers = Readers(control["readers"], self._log)
        self._requests = Requests(control["requests"], control["request_order"])
        self.idempotency = MongoIdempotencyStore(control)
        """The idempotency records in the same database."""

    async def initialise(self, identity: LogIdentity) -> None:
        """Create generation 1, the live pointer, hot epoch 1, and remember the log; nothing if they are there.

        The log first and the live pointer last: what was cut short is finished by the next call. Raises
        ``LogLostError`` for another log, ``ControlLostError`` when there are views but no memory of a log.
        """
        remembered = await self.identity()
        if remembered is None:
            await self.refuse_orphaned_views()
            await insert_if_absent(self._log, {"_id": _LOG, **identity._asdict()})
            remembered = await self.identity()
        if remembered != identity:
            raise LogLostError(
                f"this is {identity}; everything here was made from {remembered}",
                hint="Point EVERLOG_KAFKA__BROKERS at the right cluster, or use other databases",
            )
        await self._requests.ensure_indexes()
        await self.idempotency.ensure_indexes()
        await self.begin_hot_epoch(1, 0, "")
        await insert_if_absent(
            self._generations, {"_id": _generation_id(1), "generation": 1, "fold_version": FOLD_VERSION}
        )
        await insert_if_absent(self._generations, {"_id": _LIVE, "generation": 1})

    async def refuse_orphaned_views(self) -> None:
        """Raise ``ControlLostError`` when there are filled views; for whoever finds no memory of a log."""
        with translated():
            names = await self._views.list_collection_names(filter={"name": {"$regex": _VIEWS}})
            filled = [name for name in sorted(names) if await self._views[name].find_one({}, ["_id"]) is not None]
        if filled:
            raise ControlLostError(
                f"the control database is empty, but {self._views.name} holds {', '.join(filled)}",
                hint="Restore the control database from its backup, or drop the view database to build it anew",
            )

    async def identity(self) -> LogIdentity | None:
        """The log that was remembered at the beginning."""
        with translated():
            found = await self._log.find_one({"_id": _LOG})
        if found is None:
            return None
        return LogIdentity(found["cluster_id"], found["topic"], found["era"], found["partitions"])

    async def live(self) -> Live:
        """The live generation. Raises ``NotFoundError`` before ``everlog init``."""
        with translated():
            pointer = await self._generations.find_one({"_id": _LIVE})
            if pointer is None:
                raise NotFoundError("there is no live generation", hint="Run: everlog init")
        generation: int = pointer["generation"]
        return Live(generation, (await self.hot_epoch(generation)).epoch)

    async def hot_epoch(self, generation: int) -> HotEpoch:
        """The hot epoch of a generation; number 0 before its first one."""
        with translated():
            found = await self._hot_epochs.find_one({"_id": _generation_id(generation)})
        return HotEpoch(int(found["epoch"]), found["incarnation"]) if found is not None else HotEpoch(0, "")

    async def begin_hot_epoch(self, generation: int, after: int, incarnation: str) -> HotEpoch:
        """Begin the hot epoch that follows ``after``, unless that is no longer the one in force."""
        place = _generation_id(generation)
        if after == 0:
            await insert_if_absent(self._hot_epochs, {"_id": place, "epoch": Int64(1), "incarnation": incarnation})
        else:
            change = {"$set": {"epoch": Int64(after + 1), "incarnation": incarnation}}
            with translated():
                await self._hot_epochs.update_one({"_id": place, "epoch": after}, change)
        return await self.hot_epoch(generation)

    async def generations(self) -> list[Generation]:
        """Every attached generation, ascending."""
        with translated():
            found = await self._generations.find({"_id": {"$ne": _LIVE}}).to_list()
        known = {int(each["generation"]): int(each.get("fold_version", _UNTOLD_FOLD_VERSION)) for each in found}
        return [Generation(*pair) for pair in sorted(known.items())]

    async def announce(self, reader: Reader) -> None:
        """A reader says which rules it knows; what it said before is replaced."""
        await self._readers.announce(reader)

    async def withdraw(self, name: str) -> None:
        """A reader reads no more."""
        await self._readers.withdraw(name)

    async def readers(self) -> list[Reader]:
        """All that announced themselves and have not withdrawn, by name."""
        return await self._readers.all()

    async def rules_in_force(self) -> int:
        """The highest rules number that doors may write; 1 until another was put in force."""
        return await self._readers.rules_in_force()

    async def put_in_force(self, rules: int) -> None:
        """Doors may write up to this rules number; a lower one than that in force changes nothing."""
        await self._readers.put_in_force(rules)

    async def submit(self, request: Request) -> None:
        """Leave a request for the owner of its partition; one of the same id that is there already stays."""
        await self._requests.submit(request)

    async def waiting(self, generation: int, partitions: Sequence[int]) -> list[Request]:
        """Requests that wait for the owner of these partitions, oldest first."""
        return await self._requests.waiting(generation, partitions)

    async def finish(self, request_id: str, done: int, error: str | None) -> None:
        """The owner has carried a request out."""
        await self._requests.finish(request_id, done, error)

    async def request(self, request_id: str) -> Request | None:
        """A request as it stands."""
        return await self._requests.read(request_id)

    async def forget(self, request_id: str) -> None:
        """Delete a request whose end was seen."""
        await self._requests.forget(request_id)

    async def anchor(self, anchor: Anchor) -> None:
        """Keep an anchor; one that is older than the kept one changes nothing."""
        place = _anchor_id(anchor.era, anchor.partition)
        document = {
            "_id": place,
            "seq": Int64(anchor.seq),
            "manifest_sha256": anchor.manifest_sha256,
            "before_offset": Int64(anchor.before_offset),
        }
        with translated():
            try:
                await self._anchors.replace_one({"_id": place, "seq": {"$lte": anchor.seq}}, document, upsert=True)
            except DuplicateKeyError:  # a later one is there: the filter did not find it, the insert did
                return

    async def anchored(self, era: int, partition: int) -> Anchor | None:
        """The last anchor of a partition."""
        with translated():
            found = await self._anchors.find_one({"_id": _anchor_id(era, partition)})
        if found is None:
            return None
        return Anchor(era, partition, int(found["seq"]), found["manifest_sha256"], int(found["before_offset"]))


def _generation_id(generation: int) -> str:
    return f"g{generation}"


def _anchor_id(era: int, partition: int) -> str:
    return f"{era}/{partition}"
