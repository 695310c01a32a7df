"""Who reads the log, by the rules numbers that each announced; and the rules that are in force."""

from __future__ import annotations

from typing import Final

from bson import Int64

from everlog.adapters.mongo.connection import Collection
from everlog.adapters.mongo.errors import translated
from everlog.adapters.mongo.writes import insert_if_absent
from everlog.ports.control import Reader

FIRST_RULES: Final = 1

_RULES: Final = "rules"


class Readers:
    """The collection of readers, and the document of the log's collection that holds the rules in force."""

    def __init__(self, readers: Collection, log: Collection) -> None:
        self._readers, self._log = readers, log

    async def announce(self, reader: Reader) -> None:
        """Insert or replace what a reader says."""
        document = {"_id": reader.name, "rules": reader.rules, "announced_ms": Int64(reader.announced_ms)}
        with translated():
            await self._readers.replace_one({"_id": reader.name}, document, upsert=True)

    async def withdraw(self, name: str) -> None:
        """Delete a reader."""
        with translated():
            await self._readers.delete_one({"_id": name})

    async def all(self) -> list[Reader]:
        """All readers, by name."""
        with translated():
            found = await self._readers.find().to_list()
        readers = [Reader(each["_id"], int(each["rules"]), int(each["announced_ms"])) for each in found]
        return sorted(readers, key=lambda reader: reader.name)

    async def rules_in_force(self) -> int:
        """The rules in force; the first ones where nothing is written."""
        with translated():
            found = await self._log.find_one({"_id": _RULES})
        return int(found["rules"]) if found is not None else FIRST_RULES

    async def put_in_force(self, rules: int) -> None:
        """Raise the rules in force, never lower them."""
        await insert_if_absent(self._log, {"_id": _RULES, "rules": FIRST_RULES})
        with translated():
            await self._log.update_one({"_id": _RULES, "rules": {"$lt": rules}}, {"$set": {"rules": rules}})
