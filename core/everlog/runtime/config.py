"""Settings: one frozen class per room, read from flags, the environment, a file, in this order.

A variable is ``EVERLOG_<ROOM>__<FIELD>``; with ``_FILE`` appended it names a file that holds the value (for secrets).
The file is TOML with a table per room: the one that ``EVERLOG_CONFIG`` names, else the one that ``everlog up`` wrote.
All wrong settings are reported at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

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


def for_room(room: str) -> SettingsConfigDict:
    """The configuration of a room's settings class."""
    return SettingsConfigDict(
        env_prefix=f"{ENVIRONMENT_PREFIX}_{room.upper()}__", frozen=True, extra="forbid", str_strip_whitespace=True
    )


class RoomSettings(BaseSettings):
    """Base of the settings of a room."""

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """The settings in force; flags that are None do not count. Raises ``ConfigurationError``."""
        settings = load_all({cls: flags})[0]
        assert isinstance(settings, cls)  # noqa: S101 (a type narrowing)
        return settings

    @classmethod
    def room(cls) -> str:
        """The room's name: its table in the file."""
        return str(cls.model_config["env_prefix"]).removeprefix(f"{ENVIRONMENT_PREFIX}_").rstrip("_").lower()

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a setting."""
        return f"{cls.model_config['env_prefix']}{field.upper()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then files that it names, then the settings file."""
        table = _read_file().get(cls.room(), {})
        return init_settings, env_settings, _NamedFiles(settings_cls), InitSettingsSource(settings_cls, table)


class _NamedFiles(PydanticBaseSettingsSource):
    """Values from the files that ``..._FILE`` variables name."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The stripped text of the named file; None where no variable names one."""
        name = f"{self.config['env_prefix']}{field_name.upper()}_FILE"
        if name not in os.environ:
            return None, field_name, False
        path = Path(os.environ[name])
        try:
            return path.read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            raise ConfigurationError(f"{name}: cannot read {path}: {error.strerror}") from None

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


class KafkaSettings(RoomSettings):
    """The log."""

    model_config = for_room("kafka")

    brokers: str = Field(default="127.0.0.1:9092", description="host:port, several by comma")
    topic: str = Field(default="everlog.events", pattern=r"^[a-z][a-z0-9._-]{0,199}$", description="Without the era")
    era: int = Field(default=0, ge=0, description="Life of the topic")
    partitions: int = Field(default=4, ge=1, le=100_000, description="Used when the topic is made; fixed afterwards")
    replication: int = Field(default=3, ge=1, le=32, description="Used when the topic is made; 1 on a single node")
    audit_topic: str = Field(default="everlog.audit", pattern=r"^[a-z][a-z0-9._-]{0,199}$")
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

    model_config = for_room("redis")

    url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:6379/0"))
    idle_ttl_s: int = Field(default=86_400, ge=60, description="A session that nobody touches leaves the hot tier")
    timeout_s: float = Field(default=2.0, gt=0, le=60)


class MongoSettings(RoomSettings):
    """The warm store and the control store."""

    model_config = for_room("mongo")

    url: SecretStr = Field(default=SecretStr("mongodb://127.0.0.1:27017"))
    view_database: str = Field(default="everlog_views", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    control_database: str = Field(default="everlog_control", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    timeout_s: float = Field(default=5.0, gt=0, le=60)


class S3Settings(RoomSettings):
    """The cold store."""

    model_config = for_room("s3")

    endpoint_url: str | None = Field(default=None, description="None = AWS")
    bucket: str = Field(default="everlog", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    root: str = Field(default="log", pattern=r"^[A-Za-z0-9._/-]{1,200}$", description="Prefix of every object")
    region: str = "us-east-1"
    access_key: SecretStr | None = Field(default=None, description="None = boto3 searches by itself")
    secret_key: SecretStr | None = None
    checksum: Literal["native", "metadata"] = Field(
        default="native", description="native: the server proves what it receives; metadata: for servers that refuse"
    )


def load_all(rooms: Mapping[type[RoomSettings], Mapping[str, Any]]) -> list[RoomSettings]:
    """The settings of several rooms, each with its flags.

    Raises ``ConfigurationError`` that lists every wrong setting of all of them.
    """
    loaded: list[RoomSettings] = []
    problems: list[str] = []
    for room, flags in rooms.items():
        try:
            loaded.append(room(**{name: value for name, value in flags.items() if value is not None}))
        except ValidationError as error:
            problems += [_problem(room, detail) for detail in error.errors(include_input=False, include_url=False)]
    if problems:
        raise ConfigurationError("wrong settings: " + "; ".join(problems), hint="Set them right and start again")
    return loaded


def _problem(room: type[RoomSettings], detail: Any) -> str:
    field = ".".join(str(step) for step in detail["loc"])
    return f"{room.variable(field)} ({room.room()}.{field} in a file): {detail['msg']}"


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
