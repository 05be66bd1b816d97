"""Files are there whole or not at all."""

import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from examples.workspaces.files import link_whole, make_once, remove, write_whole


def test_whoever_comes_first_makes_the_file_and_all_others_get_the_same(tmp_path: Path):
    numbers = count()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: make_once(tmp_path / "key", lambda: str(next(numbers)).encode()), range(50)))
    assert set(made) == {(tmp_path / "key").read_bytes()}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    write_whole(tmp_path / "file", b"old")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "file", "not bytes")  # type: ignore[arg-type]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_a_private_file_is_private_from_the_first_moment(tmp_path: Path):
    write_whole(tmp_path / "file", b"secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_link_can_be_pointed_elsewhere(tmp_path: Path):
    for name in ("one", "two"):
        write_whole(tmp_path / name, name.encode())
        link_whole(tmp_path / "links" / "link", tmp_path / name)
    assert (tmp_path / "links" / "link").read_bytes() == b"two"


def test_removing_takes_files_folders_and_links_and_follows_no_link(tmp_path: Path):
    write_whole(tmp_path / "folder" / "file", b"kept")
    link_whole(tmp_path / "link", tmp_path / "folder")
    remove(tmp_path / "link")
    assert (tmp_path / "folder" / "file").read_bytes() == b"kept"
    for _ in range(2):
        remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []
