"""Redis through redis-py: the hot store, the channel of outcomes, signs of life of leaseholders."""

from everlog.adapters.redis.heartbeats import RedisHeartbeats
from everlog.adapters.redis.hot import RedisHotStore

__all__ = ["RedisHeartbeats", "RedisHotStore"]
