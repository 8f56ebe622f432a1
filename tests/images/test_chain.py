"""Chains are read from headers alone, never guessed; broken and hostile ones are refused with clear words."""

import os
import struct
from pathlib import Path

import pytest

from overwinter.images.chain import read_chain, read_layer, virtual_size
from overwinter.images.reader import open_frozen
from overwinter.model.errors import ImageError
from overwinter.model.vm import ImageLayer

from .disks import MIB, TIB, Change, change, machine_writing_to, make_base, make_overlay, run


def test_chain_top_first_with_recorded_formats(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "raw", MIB)
    middle = make_overlay(tmp_path / "middle", base)
    top = make_overlay(tmp_path / "top", middle, 2 * MIB)
    assert read_chain(top.path, "qcow2") == (top, middle, base)
    assert [virtual_size(layer) for layer in (top, middle, base)] == [2 * MIB, MIB, MIB]


def test_facts_for_restore(tmp_path: Path) -> None:
    layer = make_base(tmp_path / "a", "qcow2", MIB, "cluster_size=128k,extended_l2=on")
    facts = read_layer(layer)
    assert (facts.size, facts.cluster_size, facts.backing) == (MIB, 131072, None)
    assert read_layer(make_base(tmp_path / "b", "raw", MIB)).cluster_size is None


def test_relative_backing_file_counts_from_its_overlay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    base = make_base(tmp_path / "base", "raw", MIB)
    top = str(tmp_path / "sub" / "top")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "../base", top)
    monkeypatch.chdir(tmp_path / "sub")
    chain = read_chain("top", "qcow2")
    assert Path(chain[1].path).samefile(base.path)
    with open_frozen(chain) as disk:
        assert disk.size == MIB


def test_chain_of_a_running_machine_is_readable(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "qcow2", MIB)
    top = make_overlay(tmp_path / "top", base)
    with machine_writing_to(top):
        assert read_chain(top.path, "qcow2") == (top, base)


def hostile_header(tmp_path: Path) -> bytes:
    """First bytes of a qcow2 image whose backing file is a secret of the host, as a guest may write them."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * MIB)
    bait = tmp_path / "bait"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(bait), "1M")
    return bait.read_bytes()


@pytest.mark.parametrize("below", [False, True], ids=["alone", "as backing file"])
def test_raw_disk_with_a_qcow2_header_stays_raw(tmp_path: Path, below: bool) -> None:
    header = hostile_header(tmp_path)
    disk = make_base(tmp_path / "disk", "raw", MIB)
    Path(disk.path).write_bytes(header + bytes(MIB - len(header)))
    assert "secret" in run("qemu-img", "info", disk.path)  # the bait works where someone guesses
    top = make_overlay(tmp_path / "top", disk) if below else disk
    chain = read_chain(top.path, top.format)
    assert chain[-1] == disk
    with open_frozen(chain) as frozen:
        content = bytearray(frozen.size)
        frozen.read_into(0, memoryview(content))
    assert content == header + bytes(MIB - len(header))


def test_backing_file_without_format_is_refused(tmp_path: Path) -> None:
    make_base(tmp_path / "base", "raw", MIB)
    top = make_overlay(tmp_path / "top", ImageLayer(str(tmp_path / "base"), "raw"))
    # rebase -u without -F would probe; the header extension is blanked instead, as old QEMU wrote it
    data = bytearray(Path(top.path).read_bytes())
    at = data.index(struct.pack(">I", 0xE2792ACA))
    data[at : at + 4] = struct.pack(">I", 0x12345678)
    Path(top.path).write_bytes(data)
    with pytest.raises(ImageError, match=r"does not record the format .* qemu-img rebase -u -f qcow2"):
        read_chain(top.path, "qcow2")


def test_unusable_chains_are_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "qcow2", MIB)
    middle = make_overlay(tmp_path / "middle", base)
    top = make_overlay(tmp_path / "top", middle)

    run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", top.path, base.path)
    with pytest.raises(ImageError, match="leads back to"):
        read_chain(top.path, "qcow2")

    Path(base.path).unlink()
    with pytest.raises(ImageError, match=r"base: No such file"):
        read_chain(top.path, "qcow2")

    Path(base.path).write_bytes(os.urandom(MIB))
    with pytest.raises(ImageError, match=r"base.*not in qcow2 format"):
        read_chain(top.path, "qcow2")

    Path(base.path).unlink()
    Path(base.path).mkdir()
    with pytest.raises(ImageError, match="neither a regular file nor a block device"):
        read_chain(top.path, "qcow2")


def test_unsupported_images_are_refused(tmp_path: Path) -> None:
    run("qemu-img", "create", "-q", "-f", "vmdk", str(tmp_path / "v"), "1M")
    with pytest.raises(ImageError, match="'vmdk' is not supported"):
        read_chain(str(tmp_path / "v"), "vmdk")

    split = make_base(tmp_path / "split", "qcow2", MIB, f"data_file={tmp_path / 'data'}")
    with pytest.raises(ImageError, match="keeps its data in another file"):
        read_chain(split.path, "qcow2")

    remote = make_base(tmp_path / "remote", "qcow2", MIB)
    run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", "nbd://127.0.0.1:1/", remote.path)
    with pytest.raises(ImageError, match="not a local file"):
        read_chain(remote.path, "qcow2")


@pytest.mark.parametrize("position", [4, 24, 32, 36, 40, 48])
def test_damaged_header_is_an_error_not_a_crash(tmp_path: Path, position: int) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", MIB)
    data = bytearray(Path(layer.path).read_bytes())
    data[position : position + 8] = b"\xff" * 8
    Path(layer.path).write_bytes(data)
    with pytest.raises(ImageError, match="disk"):
        open_frozen(read_chain(layer.path, "qcow2"))


def test_a_disk_of_an_absurd_size_costs_nothing(tmp_path: Path) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", 60 * TIB, "cluster_size=2M")
    change(layer, Change("write", 59 * TIB, 65536, 7))
    with open_frozen(read_chain(layer.path, "qcow2")) as disk:
        assert disk.size == 60 * TIB
        content = bytearray(65536)
        disk.read_into(59 * TIB, memoryview(content))
    assert content == b"\x07" * 65536
