"""What the Kafka adapter decides without a broker: connections, the judgement of a topic, holes."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from everlog.adapters.kafka.connection import client_arguments, translated
from everlog.adapters.kafka.reader import check_dense
from everlog.adapters.kafka.topic import TopicFacts, topic_configs, topic_problems
from everlog.domain.record import Record
from everlog.runtime.config import KafkaSettings
from everlog.schemas.errors import ConfigurationError, IntegrityError, UnavailableError


def test_brokers_are_a_list_without_blanks() -> None:
    arguments = client_arguments(KafkaSettings(brokers="a:1, b:2,"))
    assert arguments["bootstrap_servers"] == ["a:1", "b:2"]
    assert arguments["security_protocol"] == "PLAINTEXT" and "ssl_context" not in arguments


def test_sasl_over_tls_brings_user_password_and_a_verifying_context() -> None:
    settings = KafkaSettings(security_protocol="SASL_SSL", sasl_username="ada", sasl_password="secret")
    arguments = client_arguments(settings)
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("ada", "secret")
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert arguments["ssl_context"].check_hostname


def test_sasl_without_a_user_is_refused_and_says_which_setting() -> None:
    with pytest.raises(ConfigurationError, match="EVERLOG_KAFKA__SASL_USERNAME"):
        client_arguments(KafkaSettings(security_protocol="SASL_PLAINTEXT"))


def test_a_file_of_authorities_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigurationError, match="EVERLOG_KAFKA__SSL_CA_FILE"):
            client_arguments(KafkaSettings(security_protocol="SSL", ssl_ca_file=tmp_path / name))


def test_a_driver_error_becomes_unavailable_with_something_to_do() -> None:
    settings = KafkaSettings(brokers="a:1")
    with (
        pytest.raises(UnavailableError, match=r"reading: .*lost.*Check that the brokers a:1 run"),
        translated(settings, "reading"),
    ):
        raise KafkaConnectionError("lost")
    with pytest.raises(UnavailableError, match="rights of that user"), translated(settings, "reading"):
        raise TopicAuthorizationFailedError("everlog")


@pytest.mark.parametrize(("replication", "brokers"), [(1, 1), (3, 3), (2, 5)])
def test_the_settings_that_we_make_a_topic_with_have_no_problems(replication: int, brokers: int) -> None:
    settings = KafkaSettings(partitions=4, replication=replication)
    assert topic_problems(TopicFacts("c", brokers, 4, replication), topic_configs(replication), settings) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup.policy", "compact"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "1"),
        ("message.timestamp.type", "CreateTime"),
        ("unclean.leader.election.enable", "true"),
        ("min.insync.replicas", "1"),
        ("max.message.bytes", "1000"),
    ],
)
def test_each_wrong_setting_of_a_topic_is_named(name: str, value: str) -> None:
    configs = topic_configs(3) | {name: value}
    (problem,) = topic_problems(TopicFacts("c", 3, 4, 3), configs, KafkaSettings(partitions=4))
    assert problem.startswith(f"{name} is {value}")


@pytest.mark.parametrize(
    ("facts", "replication", "expected"),
    [
        (TopicFacts("c", 3, 8, 3), 3, "8 partitions, the settings say 4"),
        (TopicFacts("c", 3, 4, 2), 3, "2 replicas, the settings say 3"),
        (TopicFacts("c", 3, 4, 1), 1, "1 replica although there are 3 brokers"),
    ],
)
def test_wrong_partitions_and_replicas_are_named(facts: TopicFacts, replication: int, expected: str) -> None:
    settings = KafkaSettings(partitions=4, replication=replication)
    (problem,) = topic_problems(facts, topic_configs(facts.replication), settings)
    assert expected in problem


def test_a_missing_offset_is_a_hole_wherever_it_lies() -> None:
    records = [Record(0, offset, 0, b"k", b"v") for offset in (5, 6, 8)]
    check_dense(0, 5, records[:2])
    with pytest.raises(IntegrityError, match="offset 8 follows where 7 belongs"):
        check_dense(0, 5, records)
    with pytest.raises(IntegrityError, match="offset 5 follows where 4 belongs"):
        check_dense(0, 4, records)
