"""Settings: where they come from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from everlog.runtime.config import KafkaSettings, RedisSettings, load_all
from everlog.schemas.errors import ConfigurationError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text('[kafka]\nbrokers = "file:1"\npartitions = 7\nera = 2\n')
    monkeypatch.setenv("EVERLOG_CONFIG", str(path))
    return path


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLOG_KAFKA__BROKERS", "environment:1")
    monkeypatch.setenv("EVERLOG_KAFKA__ERA", "3")
    settings = KafkaSettings.load(era=4, brokers=None)
    assert (settings.era, settings.brokers, settings.partitions, settings.replication) == (4, "environment:1", 7, 3)
    assert settings.topic_name == "everlog.events.4"


def test_a_secret_may_lie_in_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("secret\n")
    monkeypatch.setenv("EVERLOG_KAFKA__SASL_PASSWORD_FILE", str(tmp_path / "password"))
    password = KafkaSettings.load().sasl_password
    assert password is not None
    assert password.get_secret_value() == "secret"
    assert "secret" not in repr(KafkaSettings.load())


def test_all_wrong_settings_are_named_at_once_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERLOG_KAFKA__PARTITIONS", "nonsense")
    monkeypatch.setenv("EVERLOG_REDIS__TIMEOUT_S", "-1")
    with pytest.raises(ConfigurationError) as raised:
        load_all({KafkaSettings: {}, RedisSettings: {}})
    assert "EVERLOG_KAFKA__PARTITIONS" in str(raised.value)
    assert "EVERLOG_REDIS__TIMEOUT_S" in str(raised.value)
    assert "nonsense" not in str(raised.value)


def test_a_setting_in_the_file_that_does_not_exist_is_named(file: Path) -> None:
    file.write_text("[kafka]\nbrokrs = 1\n")
    with pytest.raises(ConfigurationError, match=r"kafka\.brokrs"):
        KafkaSettings.load()


@pytest.mark.parametrize("text", ["[kafka", "kafka = 1"])
def test_a_file_that_is_not_settings_is_named(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="settings"):
        KafkaSettings.load()


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVERLOG_CONFIG", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigurationError, match="does not exist"):
        KafkaSettings.load()
