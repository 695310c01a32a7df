"""Downloads: cached and offline, never half, and one sentence when the network is not there."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from everlog.local.downloads import CENTRAL, JarCache, remove_broken
from everlog.schemas.errors import ConfigurationError, UnavailableError

NOBODY = {CENTRAL: "http://127.0.0.1:9/maven"}  # the discard port: nothing listens


def pretend_downloaded(cache: JarCache, name: str) -> Path:
    jar = cache.directory / "maven" / "some.jar"
    jar.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("a", "b")
    cache._list_file(name).write_text(json.dumps({"some.jar": jar.stat().st_size}))
    return jar


def test_a_dead_repository_is_one_clear_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as error:
        JarCache(tmp_path, NOBODY).jars("kafka")
    text = str(error.value)
    assert "kafka could not be downloaded" in text
    assert "HTTPS_PROXY" in text
    assert "EVERLOG_LOCAL__REPOSITORIES" in text
    assert "\n" not in text


def test_a_dead_proxy_is_the_same_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "")
    with pytest.raises(UnavailableError, match="ProxyError"):
        JarCache(tmp_path, {CENTRAL: "http://repository.invalid/maven"}).jars("compiler")


def test_what_was_downloaded_is_found_without_a_network(tmp_path: Path) -> None:
    cache = JarCache(tmp_path, NOBODY)
    jar = pretend_downloaded(cache, "compiler")
    assert cache.jars("compiler") == (jar,)


def test_a_cut_file_is_downloaded_again(tmp_path: Path) -> None:
    cache = JarCache(tmp_path, NOBODY)
    jar = pretend_downloaded(cache, "compiler")
    jar.write_bytes(jar.read_bytes()[:-1])
    with pytest.raises(UnavailableError):
        cache.jars("compiler")
    assert not jar.exists()


def test_a_list_that_is_no_json_counts_as_none(tmp_path: Path) -> None:
    cache = JarCache(tmp_path, NOBODY)
    pretend_downloaded(cache, "compiler")
    cache._list_file("compiler").write_text("{")
    with pytest.raises(UnavailableError):
        cache.jars("compiler")


def test_half_written_descriptors_and_jars_are_removed_and_whole_ones_kept(tmp_path: Path) -> None:
    (tmp_path / "whole.pom").write_text("<project/>")
    (tmp_path / "cut.pom").write_text("<project>")
    (tmp_path / "cut.jar").write_bytes(b"PK\x03\x04")
    remove_broken(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["whole.pom"]


def test_a_cache_that_cannot_be_written_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="EVERLOG_LOCAL__CACHE"):
        JarCache(tmp_path / "file" / "cache", {}).jars("kafka")
