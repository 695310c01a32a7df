"""What ``everlog up`` writes, and every command finds."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from everlog.cli.addresses import ensure_key_pair, environment, settings_tables, write_settings_file
from everlog.cli.archive import confirm
from everlog.cli.client_settings import ClientSettings
from everlog.cli.tokens import local_token
from everlog.gateway.identity import TokenVerifier
from everlog.gateway.settings import GatewaySettings, keys_directory
from everlog.gateway.trust import FixedKey
from everlog.local.ports import Ports
from everlog.local.stack import Addresses
from everlog.runtime.config import KafkaSettings, MongoSettings, RedisSettings, S3Settings
from everlog.schemas.errors import NotFoundError, UsageError

PLACES = Addresses(
    "127.0.0.1:1", "redis://127.0.0.1:2/0", "mongodb://127.0.0.1:3", "http://127.0.0.1:4", "key", "secret"
)
PORTS = Ports.fixed(21_000)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVERLOG_LOCAL__DIRECTORY", str(tmp_path))
    return tmp_path


def test_every_room_finds_its_settings_in_the_file(directory: Path) -> None:
    path = write_settings_file(settings_tables(PLACES, PORTS), directory)
    assert KafkaSettings.load().brokers == PLACES.kafka
    assert RedisSettings.load().url.get_secret_value() == PLACES.redis
    assert MongoSettings.load().url.get_secret_value() == PLACES.mongo
    assert S3Settings.load().endpoint_url == PLACES.s3
    assert GatewaySettings.load().port == PORTS.gateway
    assert ClientSettings.load().url == f"http://127.0.0.1:{PORTS.gateway}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_environment_says_the_same_as_the_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(settings_tables(PLACES, PORTS), directory).items():
        monkeypatch.setenv(name, value)
    assert (KafkaSettings.load().brokers, KafkaSettings.load().replication) == (PLACES.kafka, 1)
    assert GatewaySettings.load().port == PORTS.gateway


async def test_a_local_token_is_what_the_gateway_takes(directory: Path) -> None:
    private = ensure_key_pair()
    assert ensure_key_pair() == private
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    settings = GatewaySettings.load()
    verifier = TokenVerifier(
        FixedKey(settings.public_key_path.read_bytes()),
        algorithms=settings.algorithms,
        issuer=settings.issuer,
        audience=settings.audience,
        leeway_s=0,
    )
    identity = await verifier.identify(f"Bearer {local_token(tenant='acme', principal='ada', role='viewer')}")
    assert (identity.tenant, identity.principal, identity.role) == ("acme", "ada", "viewer")


def test_without_a_local_key_a_token_says_what_to_do(directory: Path) -> None:
    with pytest.raises(NotFoundError, match="everlog up"):
        local_token()
    assert not keys_directory().exists()


def test_what_destroys_needs_a_yes_where_nobody_can_be_asked() -> None:
    with pytest.raises(UsageError, match="--yes"):
        confirm("trim", yes=False)
    confirm("trim", yes=True)
