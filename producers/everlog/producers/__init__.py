"""Producers of trusted services: the Kafka appender."""

from everlog.producers.producer import Producer

__all__ = ["Producer"]
