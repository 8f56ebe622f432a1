"""Disks changed behind our back: the next backup of that disk is a full compare, and right."""

import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from overwinter.model.protection import ProtectedItem
from testkit.disks import MIB, DiskSpec, convert, make_disk, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt

SIZE = 64 * MIB


@pytest.fixture(params=["qcow2", pytest.param("raw", marks=pytest.mark.long)])
def prepared(request: pytest.FixtureRequest, station: Station) -> tuple[TinyGuest, ProtectedItem]:
    """A stopped guest with two backups: the chain has the original and two overlays."""
    spec = DiskSpec(format=request.param, size=SIZE, file_system=False)
    guest = station.ground.guests.make(f"back-{uuid4().hex[:6]}", [spec, spec], start=False)
    for target in ("vda", "vdb"):
        write_image(guest.disks[target], request.param, [(0, realistic_data(16 * MIB, seed=1))])
    item = station.protect(guest)
    for seed in (2, 3):
        station.backup(item)
        write_image(guest.chain("vda")[0], "qcow2", [(MIB, realistic_data(MIB, seed=seed))])
    return guest, item


def check_full_and_right(station: Station, guest: TinyGuest, item: ProtectedItem) -> None:
    """The next backup reads in full and restores right; the one after it is incremental again."""
    targets = sorted(disk_targets(guest))
    point = station.backup(item)
    assert not point.incremental
    station.check_restore(point, {target: station.truth(guest, target) for target in targets})
    write_image(guest.chain("vda")[0], "qcow2", [(2 * MIB, realistic_data(MIB, seed=9))])
    point = station.backup(item)
    assert point.incremental
    station.check_restore(point, {target: station.truth(guest, target) for target in targets})


def disk_targets(guest: TinyGuest) -> list[str]:
    root = ElementTree.fromstring(guest.domain.XMLDesc())
    return [target.attrib["dev"] for target in root.iterfind("./devices/disk/target")]


def test_overlay_replaced_by_a_whole_image(
    station: Station, prepared: tuple[TinyGuest, ProtectedItem]
) -> None:
    guest, item = prepared
    top = guest.chain("vda")[0]
    other = top.with_name(f"{top.name}.other")
    make_disk(other, DiskSpec("qcow2", size=SIZE, file_system=False))
    write_image(other, "qcow2", [(5 * MIB, os.urandom(MIB))])
    other.rename(top)
    check_full_and_right(station, guest, item)


def test_overlay_replaced_by_an_older_copy_of_itself(
    station: Station, prepared: tuple[TinyGuest, ProtectedItem]
) -> None:
    """The layers below are untouched, so the increment over them stays right without a full read."""
    guest, item = prepared
    top = guest.chain("vda")[0]
    copy = top.with_name(f"{top.name}.copy")
    shutil.copy2(top, copy)
    write_image(top, "qcow2", [(7 * MIB, os.urandom(MIB))])
    copy.rename(top)
    point = station.backup(item)
    station.check_restore(point, {target: station.truth(guest, target) for target in ("vda", "vdb")})


def test_original_restored_by_hand(station: Station, prepared: tuple[TinyGuest, ProtectedItem]) -> None:
    """Somebody puts another content into the frozen original, under the same name."""
    guest, item = prepared
    original = guest.disks["vda"]
    form = original.suffix[1:]
    write_image(original, form, [(9 * MIB, os.urandom(MIB))])
    check_full_and_right(station, guest, item)


def test_chain_flattened_by_hand(station: Station, prepared: tuple[TinyGuest, ProtectedItem]) -> None:
    """Somebody converts the disk into one new image and lets the VM use that."""
    guest, item = prepared
    top = guest.chain("vda")[0]
    flat = guest.disks["vda"].with_name(f"{guest.name}-flat.qcow2")
    convert(top, "qcow2", flat, "qcow2")
    use_image(guest, "vda", flat)
    check_full_and_right(station, guest, item)


def test_disk_added(station: Station, prepared: tuple[TinyGuest, ProtectedItem]) -> None:
    """The new disk is read in full, the others stay incremental, and the whole point is right."""
    guest, item = prepared
    added = guest.disks["vda"].with_name(f"{guest.name}-vdc.raw")
    make_disk(added, DiskSpec("raw", size=SIZE, file_system=False))
    write_image(added, "raw", [(0, realistic_data(4 * MIB, seed=5))])
    guest.domain.attachDeviceFlags(
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{added}'/>"
        "<target dev='vdc' bus='virtio'/></disk>",
        2,  # the persistent definition
    )
    point = station.backup(item)
    # 16 MiB on each of the two old disks were read before; now only the changes of one and the new disk.
    assert not point.incremental
    assert point.bytes_read < 10 * MIB
    truths = {target: station.truth(guest, target) for target in ("vda", "vdb", "vdc")}
    station.check_restore(point, truths)


def test_disk_resized(station: Station, prepared: tuple[TinyGuest, ProtectedItem]) -> None:
    guest, item = prepared
    top = guest.chain("vda")[0]
    subprocess.run(["qemu-img", "resize", "-q", "-f", "qcow2", str(top), str(SIZE + 8 * MIB)], check=True)
    write_image(top, "qcow2", [(SIZE + MIB, realistic_data(MIB, seed=6))])
    check_full_and_right(station, guest, item)


def use_image(guest: TinyGuest, target: str, image: Path) -> None:
    """Let the stopped guest use another qcow2 image for a disk."""
    root = ElementTree.fromstring(guest.domain.XMLDesc(2))
    for disk in root.iterfind("./devices/disk"):
        name = disk.find("target")
        if name is not None and name.get("dev") == target:
            source, driver = disk.find("source"), disk.find("driver")
            assert source is not None
            assert driver is not None
            source.set("file", str(image))
            driver.set("type", "qcow2")
            for backing in disk.findall("backingStore"):
                disk.remove(backing)
    guest.domain.connect().defineXML(ElementTree.tostring(root, encoding="unicode"))
