"""Redis through redis-py: the hot store, the channel of outcomes, signs of life of leaseholders, deltas."""

from everlog.adapters.redis.deltas import RedisDeltas
from everlog.adapters.redis.heartbeats import RedisHeartbeats
from everlog.adapters.redis.hot import RedisHotStore

__all__ = ["RedisDeltas", "RedisHeartbeats", "RedisHotStore"]
