"""The simulated disk is one: it answers as the real file system does, and loses what POSIX lets it lose."""

import os
from pathlib import Path
from random import Random

import pytest

from overwinter.vault.file_operations import DirectoryEntry, FileOperations, SystemFiles
from testkit.disk_history import Tree
from testkit.simulated_disk import SimulatedDisk

TOP = Path("/top")


@pytest.fixture(params=["real", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileOperations, Path]:
    """File operations, and an empty directory."""
    if request.param == "real":
        return SystemFiles(), tmp_path
    disk = SimulatedDisk()
    disk.make_directory(TOP)
    return disk, TOP


def store(files: FileOperations, path: Path, data: bytes) -> None:
    descriptor = files.create(path)
    while data:
        data = data[files.write(descriptor, memoryview(data)) :]
    files.sync(descriptor)
    files.close(descriptor)


def test_files_are_written_named_twice_and_removed(place: tuple[FileOperations, Path]) -> None:
    files, top = place
    files.make_directory(top / "d")
    store(files, top / "a", bytes(range(256)) * 200)
    files.link(top / "a", top / "d" / "b")
    files.unlink(top / "a")
    files.sync_directory(top)
    assert files.read(top / "d" / "b") == bytes(range(256)) * 200
    assert files.read_range(top / "d" / "b", 255, 3) == b"\xff\0\1"
    assert files.read_range(top / "d" / "b", 51199, 9) == b"\xff"
    assert list(files.entries(top)) == [DirectoryEntry("d", None)]
    assert list(files.entries(top / "d")) == [DirectoryEntry("b", 51200)]


def test_refusals_are_those_of_the_system(place: tuple[FileOperations, Path]) -> None:
    files, top = place
    files.make_directory(top / "d")
    store(files, top / "a", b"1")
    store(files, top / "b", b"2")
    for taken in (top / "a", top / "d"):
        with pytest.raises(FileExistsError):
            files.create(taken)
        with pytest.raises(FileExistsError):
            files.make_directory(taken)
        with pytest.raises(FileExistsError):
            files.link(top / "b", taken)
    with pytest.raises(FileNotFoundError):
        files.link(top / "none", top / "c")
    for absent in (top / "none", top / "none" / "under"):
        for refused in (files.read, files.unlink, files.sync_directory, files.entries):
            with pytest.raises(FileNotFoundError):
                refused(absent)
    for create in (files.create, files.make_directory):
        with pytest.raises(FileNotFoundError):
            create(top / "none" / "under")
    for under_file in (files.read, files.unlink, files.create, files.make_directory, files.entries):
        with pytest.raises(NotADirectoryError):
            under_file(top / "a" / "under")
    with pytest.raises(NotADirectoryError):
        files.entries(top / "a")
    with pytest.raises(IsADirectoryError):
        files.read(top / "d")
    with pytest.raises(OSError, match=os.strerror(22)):
        files.read_range(top / "a", -1, 1)


def states(disk: SimulatedDisk, mixtures: int = 200) -> list[Tree]:
    """What may be found after a crash at the end."""
    return [tree for _, tree in disk.crash_states(Random(1), mixtures, first=len(disk.history))]


def test_what_was_synced_is_there() -> None:
    disk = SimulatedDisk()
    disk.make_directory(TOP)
    disk.sync_directory(Path("/"))
    store(disk, TOP / "a", b"12345678")
    disk.sync_directory(TOP)
    assert [tree.files for tree in states(disk)] == [{"/top/a": b"12345678"}]


def test_writes_without_sync_are_lost_torn_or_leave_holes() -> None:
    disk = SimulatedDisk(Tree(frozenset({"", "/top"}), {}))
    descriptor = disk.create(TOP / "a")
    disk.sync_directory(TOP)
    disk.write(descriptor, memoryview(b"1234"))
    disk.write(descriptor, memoryview(b"5678"))
    found = {tree.files["/top/a"] for tree in states(disk)}
    assert {b"", b"1234", b"12345678", b"\0\0\0\x005678", b"12", b"12\0\x005678", b"123456\0\0"} <= found
    assert all(
        len(content) <= 8
        and all(byte in (0, expected) for byte, expected in zip(content, b"12345678", strict=False))
        for content in found
    )


def test_names_without_sync_happen_or_not_each_for_itself() -> None:
    disk = SimulatedDisk(Tree(frozenset({"", "/top"}), {"/top/a": b"1", "/top/b": b"2"}))
    disk.unlink(TOP / "a")
    disk.unlink(TOP / "b")
    disk.make_directory(TOP / "d")
    store(disk, TOP / "d" / "c", b"3")
    found = {frozenset(tree.files) | tree.directories for tree in states(disk)}
    old, new = [{"/top/a"}, {"/top/b"}], [set(), {"/top/d"}, {"/top/d", "/top/d/c"}]
    assert found == {
        frozenset({"", "/top"} | made | (old[0] if a else set()) | (old[1] if b else set()))
        for made in new
        for a in (True, False)
        for b in (True, False)
    }


def test_who_is_killed_loses_nothing_and_makes_nothing_durable() -> None:
    disk = SimulatedDisk()
    disk.make_directory(TOP)
    store(disk, TOP / "a", b"1")
    assert disk.tree.files == {"/top/a": b"1"}
    assert Tree(frozenset({""}), {}) in states(disk, 0)
