"""Settings: one frozen class per room, read from flags, the environment, a file, in this order.

A variable is ``EVERLOG_<ROOM>__<FIELD>``; with ``_FILE`` appended it names a file that holds the value (for secrets).
The file is TOML with a table per room: the one that ``EVERLOG_CONFIG`` names, else the one that ``everlog up`` wrote.
All wrong settings are reported at once.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from everlog.schemas.errors import ConfigurationError

ENVIRONMENT_PREFIX: Final = "EVERLOG"
CONFIG_VARIABLE: Final = "EVERLOG_CONFIG"
CONFIG_NAME: Final = "everlog.toml"


def state_directory() -> Path:
    """Where ``everlog up`` keeps everything: ``EVERLOG_LOCAL__DIRECTORY``, else by the XDG base directory rules."""
    given = os.environ.get("EVERLOG_LOCAL__DIRECTORY")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "everlog"


class RoomSettings(BaseModel):
    """Base of the settings of a room."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    room: ClassVar[str]

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """The settings in force; flags that are None do not count. Raises ``ConfigurationError``."""
        return load_all(cls, **{cls.room: flags})[0]


class KafkaSettings(RoomSettings):
    """The log."""

    room = "kafka"

    brokers: str = Field(default="127.0.0.1:9092", description="host:port, several by comma")
    topic: str = Field(default="everlog.events", pattern=r"^[a-z][a-z0-9._-]{0,199}$", description="Without the era")
    era: int = Field(default=0, ge=0, description="Life of the topic")
    partitions: int = Field(default=4, ge=1, le=100_000, description="Used when the topic is made; fixed afterwards")
    replication: int = Field(default=3, ge=1, le=32, description="Used when the topic is made; 1 on a single node")
    security_protocol: str = Field(default="PLAINTEXT", pattern=r"^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    sasl_mechanism: str = Field(default="SCRAM-SHA-512")
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None

    @property
    def topic_name(self) -> str:
        """The topic of the era."""
        return f"{self.topic}.{self.era}"


class RedisSettings(RoomSettings):
    """The hot store."""

    room = "redis"

    url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:6379/0"))
    idle_ttl_s: int = Field(default=86_400, ge=60, description="A session that nobody touches leaves the hot tier")
    timeout_s: float = Field(default=2.0, gt=0, le=60)


class MongoSettings(RoomSettings):
    """The warm store and the control store."""

    room = "mongo"

    url: SecretStr = Field(default=SecretStr("mongodb://127.0.0.1:27017"))
    view_database: str = Field(default="everlog_views", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    control_database: str = Field(default="everlog_control", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    timeout_s: float = Field(default=5.0, gt=0, le=60)


class S3Settings(RoomSettings):
    """The cold store."""

    room = "s3"

    endpoint_url: str | None = Field(default=None, description="None = AWS")
    bucket: str = Field(default="everlog", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    root: str = Field(default="log", pattern=r"^[A-Za-z0-9._/-]{1,200}$", description="Prefix of every object")
    region: str = "us-east-1"
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None


Room = TypeVar("Room", bound=RoomSettings)


def load_all(*rooms: type[Room], **flags: dict[str, Any]) -> list[Room]:
    """The settings of several rooms; ``flags`` by room name.

    Raises ``ConfigurationError`` that lists every wrong setting of all of them.
    """
    tables = _read_file()
    loaded: list[Room] = []
    problems: list[str] = []
    for room in rooms:
        given = {name: value for name, value in flags.get(room.room, {}).items() if value is not None}
        try:
            loaded.append(room.model_validate({**tables.get(room.room, {}), **_from_environment(room), **given}))
        except ValidationError as error:
            problems += [_problem(room, detail) for detail in error.errors(include_input=False, include_url=False)]
    if problems:
        raise ConfigurationError("wrong settings: " + "; ".join(problems), hint="Set them right and start again")
    return loaded


def variable(room: type[RoomSettings], field: str) -> str:
    """The environment variable of a setting."""
    return f"{ENVIRONMENT_PREFIX}_{room.room.upper()}__{field.upper()}"


def _problem(room: type[RoomSettings], detail: Any) -> str:
    field = ".".join(str(step) for step in detail["loc"])
    return f"{variable(room, field)} ({room.room}.{field} in a file): {detail['msg']}"


def _from_environment(room: type[RoomSettings]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in room.model_fields:
        name = variable(room, field)
        if name in os.environ:
            found[field] = os.environ[name]
        elif f"{name}_FILE" in os.environ:
            path = Path(os.environ[f"{name}_FILE"])
            try:
                found[field] = path.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigurationError(f"{name}_FILE: cannot read {path}: {error.strerror}") from None
    return found


def _read_file() -> dict[str, dict[str, Any]]:
    named = os.environ.get(CONFIG_VARIABLE)
    path = Path(named) if named else state_directory() / CONFIG_NAME
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except FileNotFoundError:
        if named:
            raise ConfigurationError(f"{CONFIG_VARIABLE} names {path}, which does not exist") from None
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the settings file {path}: {error}") from None
    wrong = [name for name, table in tables.items() if not isinstance(table, dict)]
    if wrong:
        raise ConfigurationError(f"{path}: {', '.join(wrong)} must be a table")
    return tables
