"""MongoDB through PyMongo: the warm store of a generation, and the control store."""

from everlog.adapters.mongo.connection import connect
from everlog.adapters.mongo.control import MongoControlStore
from everlog.adapters.mongo.warm import MongoWarmStore

__all__ = ["MongoControlStore", "MongoWarmStore", "connect"]
