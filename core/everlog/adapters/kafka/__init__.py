"""Kafka through aiokafka: reading and trimming the log, making and checking its topic."""

from everlog.adapters.kafka.reader import KafkaReader
from everlog.adapters.kafka.topic import check_topic, ensure_topic
from everlog.adapters.kafka.trimmer import KafkaTrimmer

__all__ = ["KafkaReader", "KafkaTrimmer", "check_topic", "ensure_topic"]
