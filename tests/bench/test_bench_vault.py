"""The measurements of the vault as a user runs them, small; their figures are sane, their forgeries hold."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.changes import PIECE
from bench.scene import Stage
from bench.tools.overwinter import Vault
from bench.vault.anatomy import Anatomy
from bench.vault.disk import SyntheticDisk
from bench.vault.forge import CHUNKS_PER_PACK, Forge, ForgedDisk, even_parts
from bench.vault.sizes import Sizes
from bench.vault.step import first
from overwinter.vault import KeySource, open_vault
from overwinter.vault.restore import open_map
from overwinter.vault.seal import ID_LENGTH
from testkit.runs import Run

ROOT = Path(__file__).parents[2]
FIELDS = {"tool", "what", "seconds", "bytes_read", "bytes_stored", "peak_rss_bytes"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    report = tmp_path_factory.mktemp("bench") / "report.json"
    options = ["--tools", "overwinter", "--size", "16M", "--scale", "0.002", "--report", str(report)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.vault", *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    printed: dict[str, Any] = json.loads(done.stdout)
    assert json.loads(report.read_text()) == printed
    return printed


@pytest.fixture(scope="module")
def runs(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {run["what"]: run for run in document["runs"] if run["tool"] == "overwinter"}


@pytest.mark.long
@pytest.mark.libvirt
def test_document(document: dict[str, Any], runs: dict[str, dict[str, Any]]) -> None:
    assert document.keys() == {"conditions", "runs"}
    assert document["conditions"].keys() == {"machine", "sizes", "method", "tools"}
    assert runs.keys() == {
        *("first", "unchanged", "changed1", "restore", "two_similar"),
        *("sparse6t_unchanged", "sparse6t_full", "changed_100g"),
        *("index1t_empty", "index1t", "index1t_uncollected"),
        *("collect10m", "objects", "objects_collected"),
    }
    for run in document["runs"]:
        assert run.keys() >= FIELDS
        assert run["seconds"] > 0 and run["peak_rss_bytes"] > 0


@pytest.mark.long
@pytest.mark.libvirt
def test_increments_are_told_apart_into_data_and_overhead(runs: dict[str, dict[str, Any]]) -> None:
    for what in ("changed1", "changed_100g"):
        run = runs[what]
        assert 0 < run["bytes_maps"] + run["bytes_index"] < run["bytes_stored"]
        assert 0 < run["overhead_by_changed"] < 0.2
        assert run["stored_by_changed"] == pytest.approx(
            run["bytes_stored"] / run["bytes_changed"], abs=0.001
        )
    assert 3 < runs["changed_100g"]["read_by_changed"] <= 4


@pytest.mark.long
@pytest.mark.libvirt
def test_disks_and_vaults_are_as_large_as_said(
    document: dict[str, Any], runs: dict[str, dict[str, Any]]
) -> None:
    sizes = document["conditions"]["sizes"]
    assert runs["sparse6t_unchanged"]["disk_bytes"] == sizes["sparse_disk"] == 12582 << 20
    assert runs["sparse6t_unchanged"]["bytes_read"] == 0
    assert 0 < runs["sparse6t_full"]["bytes_read"] < 0.01 * sizes["sparse_disk"]
    assert runs["index1t_empty"]["records"] == 0
    assert runs["index1t"]["records"] == runs["index1t"]["packs"] * CHUNKS_PER_PACK > 8000
    assert runs["index1t"]["bytes_read"] == sizes["index_backup"]
    assert runs["collect10m"]["chunks"] == pytest.approx(sizes["chunks"], rel=0.1)
    assert runs["collect10m"]["points"] == sizes["points"]


@pytest.mark.long
@pytest.mark.libvirt
def test_collections_free_what_they_should(runs: dict[str, dict[str, Any]]) -> None:
    collected = runs["collect10m"]
    assert collected["packs_removed"] > 0 and collected["bytes_copied"] == 0
    assert collected["bytes_freed"] >= collected["packs_removed"] * (31 << 20)
    before, after = runs["objects"], runs["objects_collected"]
    assert before["objects_packs"] >= before["points"] == before["objects_manifests"] == 11
    assert after["objects_packs"] < 4 and after["objects_index"] == 1 and after["bytes_copied"] > 0
    assert after["bytes_by_object"] > before["bytes_by_object"]


def test_the_default_sizes_are_those_of_the_names() -> None:
    assert Sizes().scaled(1) == Sizes()
    assert Sizes().sparse_disk == 6 << 40 and Sizes().changed_disk == 100 << 30
    assert Sizes().index_data == 1 << 40 and Sizes().chunks == 10**7 and Sizes().points == 1000


def test_a_synthetic_disk_is_the_same_for_everybody() -> None:
    one, other = SyntheticDisk("name", 64 * PIECE), SyntheticDisk("name", 64 * PIECE)
    changed = one.overwrite(0.1, 1)
    assert len(changed) == 6 and changed == sorted(changed) == other.overwrite(0.1, 1)
    whole, piece = bytearray(64 * PIECE), bytearray(PIECE)
    one.read(0, memoryview(whole))
    other.read(5 * PIECE, memoryview(piece))
    assert whole[5 * PIECE : 6 * PIECE] == piece
    assert len({bytes(whole[begin : begin + PIECE]) for begin in range(0, len(whole), PIECE)}) == 64
    fresh = bytearray(64 * PIECE)
    SyntheticDisk("name", 64 * PIECE).read(0, memoryview(fresh))
    assert [
        at for at in range(0, len(fresh), PIECE) if fresh[at : at + PIECE] != whole[at : at + PIECE]
    ] == changed


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(Stage(Run("none"), tmp_path, lambda _: None))


def test_the_anatomy_accounts_for_every_byte(vault: Vault) -> None:
    growth = Anatomy(vault.path)
    store = open_vault(vault.path.as_uri(), KeySource.from_key_file(vault.key))
    before = sum(path.stat().st_size for path in vault.path.rglob("*") if path.is_file())
    first(store, 40 << 20)
    after = sum(path.stat().st_size for path in vault.path.rglob("*") if path.is_file())
    grown = growth.grown()
    assert sum(grown.values()) == after - before
    assert grown.keys() == {"chunks", "maps", "directories", "index", "manifests", "other"}
    found = store.manifest("first").disks[0].map
    chunks = sum(1 for _ in open_map(store._blobs, found).chunks())
    assert 160 <= chunks <= 320
    assert grown["directories"] == (chunks + 3 + 2) * 24 + 28  # leaves, a page, a root; frame and tag
    assert growth.grown() == {}


def test_a_forged_vault_is_believed(vault: Vault) -> None:
    forge = Forge(vault)
    disk = ForgedDisk(forge, 4 * CHUNKS_PER_PACK * forge.chunk_size)
    ids = bytes(range(256)) * (4 * CHUNKS_PER_PACK * ID_LENGTH // 256)
    disk_map, pages = disk.change(even_parts(ids, 0, forge.chunk_size))
    records = forge.packs(ids, pages)
    forge.index(records, 100)
    forge.point("1", disk_map)
    assert len(records) == 4 * CHUNKS_PER_PACK + len(pages)
    store = open_vault(vault.path.as_uri(), KeySource.from_key_file(vault.key))
    assert [point.point_id for point in store.manifests()] == ["1"]
    assert store.data_size(store.manifest("1").disks[0].map) == disk.size
    packs = [path for path in (vault.path / "packs").rglob("*") if path.is_file()]
    assert len(packs) == 4
    assert all(path.stat().st_size > 32 << 20 and path.stat().st_blocks < 200 for path in packs)
