"""Deleting the beginning of a partition."""

from __future__ import annotations

from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from everlog.adapters.kafka.connection import admin_client, translated
from everlog.runtime.config import KafkaSettings


class KafkaTrimmer:
    """A ``LogTrimmer`` by DeleteRecords. Trimming is rare, so a connection lasts for one call."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def delete_before(self, partition: int, offset: int) -> int:
        """Delete all records below ``offset``; returns the partition's new first offset.

        Raises ``UnavailableError``, also for an offset that the log has not reached: then nothing was deleted.
        """
        place = TopicPartition(self._settings.topic_name, partition)
        async with admin_client(self._settings) as admin:
            with translated(self._settings, f"trimming partition {partition} before offset {offset}"):
                starts = await admin.delete_records({place: RecordsToDelete(before_offset=offset)})
        return int(starts[place])
