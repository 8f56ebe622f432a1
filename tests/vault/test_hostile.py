"""Damaged vaults: an error of the house that names the damage, or correct data; never wrong data."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.storage import LocalStorage
from testkit.tiny_vaults import in_order
from testkit.vault_check import BrokenPromise, WrongData
from testkit.vault_hostile import Damage, Examiner, Subject, damages, losses, small_vault
from tests.vault.disks import CHUNK, back_up, new_vault, noise, reopen, restore


@pytest.fixture
def subject() -> Iterator[Subject]:
    with in_order():
        yield small_vault(1)


@pytest.mark.long
def test_every_flipped_byte_is_noticed(subject: Subject) -> None:
    """By who reads points, or by who needs the byte: for a new index, or to collect or delete."""
    noticed = Counter(Examiner(subject).flips(0x10))
    assert noticed == {True: sum(map(len, subject.objects.values()))}


def test_objects_cut_lengthened_copied_and_swapped(subject: Subject) -> None:
    examiner = Examiner(subject)
    noticed = Counter(examiner.examine(damage) for damage in damages(subject, 1))
    assert noticed[True] > 400
    assert noticed[False] < 20  # copies, and packs with another end: what is read is all there


def test_objects_removed_and_put_back(subject: Subject) -> None:
    """And a point that is added then is whole: it does not rely on what was lost."""
    examiner = Examiner(subject)
    for damage in losses(subject):
        examiner.examine(damage)


def test_the_examiner_notices_wrong_data_and_nameless_errors(subject: Subject) -> None:
    """An examiner that expects other data, or another name in the error, complains."""
    other = Subject(subject.objects, {**subject.points, "2": subject.points["3"]}, {}, {})
    with pytest.raises(WrongData):
        Examiner(other).examine(Damage("nothing", subject.objects))
    name = next(name for name in subject.objects if name.startswith("index/"))
    with pytest.raises(BrokenPromise, match="the error says"):
        Examiner(subject).examine(Damage("cut", {**subject.objects, name: b""}, ("another object",)))


def test_damage_names_disk_offset_and_object(tmp_path: Path) -> None:
    back_up(new_vault(tmp_path), "1", bytes(CHUNK) + noise(2, CHUNK))
    (pack,) = LocalStorage(tmp_path).list("packs/")
    path = tmp_path / pack.name
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    vault = reopen(tmp_path)
    disk = vault.manifests()[0].disks[0].map
    with pytest.raises(VaultDataCorrupt, match=f"Disk sda, offset 4096: .*{pack.name} at byte 40"):
        restore(vault, disk, "sda")
    with pytest.raises(VaultDataCorrupt, match="offset 4096"):
        vault.read_range(disk, 5000, 10)
    vault = reopen(tmp_path)
    path.unlink()
    with pytest.raises(VaultObjectMissing, match=pack.name):
        restore(vault, disk)
    with pytest.raises(VaultObjectMissing, match="Disk vda: A page of the disk is missing"):
        restore(reopen(tmp_path), disk)
