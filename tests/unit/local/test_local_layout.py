"""The data directory: created for its owner, checked before anything is started in it."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from everlog.local.layout import MINIMUM_FREE_BYTES, open_layout
from everlog.local.seaweedfs import credentials
from everlog.schemas.errors import ConfigurationError


def test_a_new_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    layout = open_layout(tmp_path / "new")
    assert layout.root.stat().st_mode & 0o777 == 0o700


def test_everything_of_a_service_is_below_the_directory(tmp_path: Path) -> None:
    layout = open_layout(tmp_path)
    assert layout.data("kafka") == tmp_path / "data" / "kafka"
    assert layout.log("kafka") == tmp_path / "logs" / "kafka.log"
    assert tmp_path in layout.temporary("kafka").parents


def test_a_directory_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")  # refused for everybody, root included
    with pytest.raises(ConfigurationError, match="EVERLOG_LOCAL__DIRECTORY") as error:
        open_layout(tmp_path / "file" / "below")
    assert str(tmp_path / "file" / "below") in str(error.value)


def test_a_full_disk_is_refused_with_what_is_free_and_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 1 << 40, 5 << 20))
    with pytest.raises(ConfigurationError, match=f"5 MiB free.*{MINIMUM_FREE_BYTES >> 20} MiB"):
        open_layout(tmp_path)


def test_the_key_pair_of_a_directory_is_made_once_and_hidden(tmp_path: Path) -> None:
    layout = open_layout(tmp_path)
    first = credentials(layout)
    assert credentials(layout) == first
    assert (layout.data("s3") / "s3.json").stat().st_mode & 0o777 == 0o600
    assert credentials(open_layout(tmp_path / "other")) != first
