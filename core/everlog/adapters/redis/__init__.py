"""Redis through redis-py: the hot store and the channel of outcomes."""

from everlog.adapters.redis.hot import RedisHotStore

__all__ = ["RedisHotStore"]
