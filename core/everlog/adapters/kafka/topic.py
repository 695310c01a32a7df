"""The topic: made with the settings that the five laws need, and refused at start without them.

Offsets must stay dense and records must stay until they are archived and trimmed, so nothing but our own trimming
may delete; the order of the log must survive a failed broker; and the time of a record is the broker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    LeaderNotAvailableError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from everlog.adapters.kafka.connection import admin_client, translated
from everlog.runtime.config import KafkaSettings
from everlog.schemas.errors import ConfigurationError
from everlog.schemas.limits import VALUE_BYTES

_log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES: Final = 1024 * 1024 + 12
"""Largest batch that the topic takes: Kafka's default, and room for a record of the largest value with its headers."""
MIN_MESSAGE_BYTES: Final = 2 * VALUE_BYTES
"""The least that is accepted: an appender's batch and one record of the largest value."""

_MIN_IN_SYNC: Final = "min.insync.replicas"
_MAX_MESSAGE: Final = "max.message.bytes"
_FIXED: Final = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
}


class TopicFacts(NamedTuple):
    """What the cluster says about itself and the topic."""

    cluster_id: str
    brokers: int
    partitions: int
    replication: int
    """Replicas of the partition that has the fewest."""


def topic_configs(replication: int) -> dict[str, str]:
    """The settings of a topic of so many replicas."""
    in_sync = "1" if replication == 1 else "2"
    return {**_FIXED, _MIN_IN_SYNC: in_sync, _MAX_MESSAGE: str(MAX_MESSAGE_BYTES)}


def topic_problems(facts: TopicFacts, configs: Mapping[str, str], settings: KafkaSettings) -> list[str]:
    """All that is wrong with a topic, each in one phrase."""
    problems = [
        f"{name} is {configs.get(name)}, must be {value}"
        for name, value in _FIXED.items()
        if configs.get(name) != value
    ]
    if facts.partitions != settings.partitions:
        problems.append(f"it has {facts.partitions} partitions, the settings say {settings.partitions}")
    if facts.replication < settings.replication:
        problems.append(f"it has {facts.replication} replicas, the settings say {settings.replication}")
    elif facts.replication == 1 and facts.brokers > 1:
        problems.append(f"it has 1 replica although there are {facts.brokers} brokers")
    if facts.replication > 1 and int(configs.get(_MIN_IN_SYNC, "1")) < 2:
        problems.append(f"{_MIN_IN_SYNC} is {configs.get(_MIN_IN_SYNC)}, must be at least 2")
    if int(configs.get(_MAX_MESSAGE, "0")) < MIN_MESSAGE_BYTES:
        problems.append(f"{_MAX_MESSAGE} is {configs.get(_MAX_MESSAGE)}, must be at least {MIN_MESSAGE_BYTES}")
    return problems


async def ensure_topic(settings: KafkaSettings) -> bool:
    """Make the era's topic if there is none; whether it was made. Only ``everlog init`` and tests call this.

    An existing topic is left as it is: ``check_topic`` judges it. Raises ``UnavailableError``, ``ConfigurationError``.
    """
    topic = NewTopic(
        settings.topic_name,
        settings.partitions,
        settings.replication,
        topic_configs=topic_configs(settings.replication),
    )
    async with admin_client(settings) as admin:
        with translated(settings, f"making topic {settings.topic_name}"):
            answer = await admin.create_topics([topic])
            name, code, *message = answer.topic_errors[0]
            error = for_code(code)
            if error is InvalidReplicationFactorError:
                raise ConfigurationError(
                    f"topic {name} cannot have {settings.replication} replicas: {message[0] if message else ''}",
                    hint="On a single node set EVERLOG_KAFKA__REPLICATION=1; otherwise bring all brokers up",
                )
            if error not in (NoError, TopicAlreadyExistsError):
                raise error(*message)
    return error is NoError


async def check_topic(settings: KafkaSettings) -> TopicFacts:
    """Refuse a topic on which the laws would not hold; a single node's is accepted with a warning.

    Raises ``ConfigurationError`` that lists all that is wrong, ``UnavailableError``.
    """
    async with admin_client(settings) as admin:
        facts = await describe_topic(admin, settings)
        configs = await _describe_configs(admin, settings)
    problems = topic_problems(facts, configs, settings)
    if problems:
        raise ConfigurationError(
            f"topic {settings.topic_name} cannot hold the log: {'; '.join(problems)}",
            hint="Set the topic's configuration right with Kafka's own tools; another partition count needs a new era",
        )
    if facts.replication == 1:
        _log.warning("one replica: a lost disk loses acknowledged events", topic=settings.topic_name)
    return facts


async def describe_topic(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> TopicFacts:
    """What the cluster says, of all topics: a request that named ours could make a broker create it.

    Raises ``ConfigurationError`` when there is no such topic, ``UnavailableError``.
    """
    with translated(settings, f"describing topic {settings.topic_name}"):
        cluster = await admin.describe_cluster()
        topics = {topic["topic"]: topic for topic in await admin.describe_topics()}
        topic = topics.get(settings.topic_name)
        error = UnknownTopicOrPartitionError if topic is None else for_code(topic["error_code"])
        if topic is None or error is UnknownTopicOrPartitionError:
            raise ConfigurationError(
                f"there is no topic {settings.topic_name} at {settings.brokers}", hint="Create it with: everlog init"
            )
        if error not in (NoError, LeaderNotAvailableError):
            raise error(settings.topic_name)
    partitions = topic["partitions"]
    return TopicFacts(
        cluster_id=cluster["cluster_id"],
        brokers=len(cluster["brokers"]),
        partitions=len(partitions),
        replication=min(len(partition["replicas"]) for partition in partitions),
    )


async def _describe_configs(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> dict[str, str]:
    with translated(settings, f"reading the configuration of topic {settings.topic_name}"):
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic_name)])
        code, message, _kind, _name, entries = answers[0].resources[0]
        error = for_code(code)
        if error is not NoError:
            raise error(message)
    return {entry[0]: entry[1] for entry in entries}
