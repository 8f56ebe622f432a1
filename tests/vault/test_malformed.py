"""Content that is authentic and malformed, as only a defect writes it: an error of the house."""

import json
import struct
from contextlib import suppress
from random import Random

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from overwinter.model.errors import OverwinterError, VaultDataCorrupt, VaultError
from overwinter.model.vault_rules import VaultRules
from overwinter.vault import DiskMap, Manifest, VaultStore
from overwinter.vault.diskmap import decode_page, decode_root, encode_page, encode_root
from overwinter.vault.manifest import manifest_object, open_manifest, seal_manifest
from overwinter.vault.pack import BlobDecoder, Encoding, pack_name
from overwinter.vault.rebuild import rebuild_index_on
from overwinter.vault.seal import BlobKind, ObjectKind, VaultKeys, open_object, seal_object
from testkit.memory_storage import MemoryStorage
from testkit.tiny_vaults import (
    CHUNK,
    NOW,
    VAULT_ID,
    back_up,
    create,
    in_order,
    key,
    read,
    reopen,
    repair,
    some_disks,
)

#: The keys of a vault that is made with ``Random(1)``: its data key is what it drew first.
KEYS = VaultKeys(Random(1).randbytes(32), VAULT_ID)
NAME = manifest_object(KEYS, "1", 0)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=3,
)
ODD = JSON | st.sampled_from(
    [
        0,
        -1,
        True,
        2**31,
        2**32,
        2**63,
        10**400,
        1e300,
        float("inf"),
        "",
        "00",
        "2026-01-01",
        "é" * 32,
        "\ud800",
    ]
)


def new_bytes(count: int) -> bytes:
    """Randomness of which nothing depends."""
    return bytes(count)


# --- a vault to read --------------------------------------------------------------------------------------


def small_vault() -> tuple[MemoryStorage, tuple[bytes, ...]]:
    storage, random = MemoryStorage(), Random(1)
    disks = some_disks(Random(5), (3, 2))
    back_up(create(storage, random), "1", disks)
    return storage, disks


def read_rightly(storage: MemoryStorage, disks: tuple[bytes, ...]) -> None:
    """Right data, or an error of the house."""
    with suppress(VaultError):
        vault: VaultStore = reopen(storage, Random(2))
        for manifest in vault.manifests():
            assert read(vault, manifest) == disks


# --- packs ------------------------------------------------------------------------------------------------


def segment(kind: int, encoding: int, content: bytes) -> bytes:
    frame = struct.pack(">IIBBxx", len(content) + 16, 0, kind, encoding)
    return frame + KEYS.new_cipher(ObjectKind.PACK, "packs/00/00", new_bytes).seal(40, frame, content)


def decode(stored: bytes) -> bytes:
    cipher = KEYS.new_cipher(ObjectKind.PACK, "packs/00/00", new_bytes)
    return BlobDecoder().decode(cipher, BlobKind.CHUNK, 40, stored).content


#: The head of a zstd frame that says it has 32 TiB of content.
HUGE = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 45) + b"\x01\x00\x00"


@given(
    kind=st.integers(0, 4), encoding=st.integers(0, 255), content=st.binary(max_size=64), packed=st.booleans()
)
@example(kind=1, encoding=1, content=HUGE, packed=False)
@example(kind=1, encoding=7, content=b"1", packed=True)
@example(kind=1, encoding=1, content=bytes(1 << 23), packed=True)
def test_segments(kind: int, encoding: int, content: bytes, packed: bool) -> None:
    stored = zstandard.ZstdCompressor().compress(content) if packed else content
    try:
        plain = decode(segment(kind, encoding, stored))
    except VaultDataCorrupt as error:
        assert "packs/00/00" in error.message
        return
    assert kind == BlobKind.CHUNK
    assert len(plain) <= 1 << 22
    assert (encoding, plain) in ((Encoding.PLAIN, stored), (Encoding.ZSTD, plain))


@given(directory=st.binary(max_size=130), trailer=st.binary(max_size=6), right=st.booleans())
def test_directories_and_trailers(directory: bytes, trailer: bytes, right: bool) -> None:
    with in_order():
        storage = MemoryStorage()
        create(storage, Random(1))
        name = pack_name(bytes(8))
        cipher = KEYS.new_cipher(ObjectKind.PACK, name, new_bytes)
        frame = struct.pack(">IIBBxx", len(directory) + 16, 0, BlobKind.DIRECTORY, 0)
        end = struct.pack(">I", 40) if right else trailer
        storage.put(name, [cipher.header, frame, cipher.seal(40, frame, directory), end])
        try:
            found = rebuild_index_on(storage, "file:///vault", key())
        except VaultError as error:
            assert name in error.message
            return
        assert right
        assert found <= len(directory) // 40


# --- index objects ----------------------------------------------------------------------------------------


@given(data=st.data())
def test_index_records_that_lie(data: st.DataObject) -> None:
    """Records that name other packs, places or lengths: right data, or an error."""
    with in_order():
        storage, disks = small_vault()
        for name in [stored.name for stored in storage.list("index/")]:
            records = bytearray(open_object(KEYS, ObjectKind.INDEX, name, storage.get(name)))
            for _ in range(data.draw(st.integers(1, 4))):
                at = data.draw(st.integers(0, len(records) - 1))
                piece = data.draw(st.binary(min_size=1, max_size=8))
                records[at : at + len(piece)] = piece
            cut = data.draw(st.sampled_from([0, 0, 1, 28, 32]))
            content = bytes(records[: len(records) - cut])
            storage.objects[name] = seal_object(KEYS.new_cipher(ObjectKind.INDEX, name, new_bytes), content)
        read_rightly(storage, disks)


# --- disk maps --------------------------------------------------------------------------------------------


@given(blob=st.binary(max_size=80), size=st.integers(0, 2**64 - 1), chunk=st.integers(0, 2**32 - 1))
def test_roots_and_pages(blob: bytes, size: int, chunk: int) -> None:
    with suppress(VaultDataCorrupt):
        assert decode_root(blob, size, chunk) in blob
    with suppress(VaultDataCorrupt):
        assert decode_page(blob, 0, 1) in blob


@given(data=st.data())
def test_maps_of_any_pages(data: st.DataObject) -> None:
    """Pages and roots that a defect stored under their right ids."""
    with in_order():
        storage, _ = small_vault()
        vault = reopen(storage, Random(2))
        with vault.session("2") as opened:
            known = [bytes(16), data.draw(st.binary(min_size=16, max_size=16))]
            for _ in range(data.draw(st.integers(0, 3))):
                ids = data.draw(st.lists(st.sampled_from(known), max_size=3))
                level = data.draw(st.integers(0, 2))
                counts = data.draw(st.lists(st.sampled_from([0, 1, 127, 128, 65535]), max_size=3))
                lengths = b"".join(count.to_bytes(2, "big") for count in counts) if level == 0 else b""
                page = encode_page(level, lengths + b"".join(ids)) + data.draw(st.binary(max_size=2))
                known.append(opened._store_page(page))
            size = data.draw(st.sampled_from([0, 1, CHUNK, 3 * CHUNK, 513 * CHUNK]))
            chunk = data.draw(st.sampled_from([1, CHUNK, 2 * CHUNK]))
            root = opened._store_page(encode_root(size, chunk, data.draw(st.sampled_from(known))))
            opened.flush()
        disk = DiskMap(size, root, chunk)
        for work in (
            lambda: vault.restore_disk(disk, lambda offset, chunk: None, target="vda"),
            lambda: vault.read_range(disk, 0, size),
            lambda: vault.data_size(disk),
        ):
            with suppress(VaultError):
                work()


# --- objects that writers steer each other by -------------------------------------------------------------

DELETED = NAME.replace("manifests/", "deleted/")
LOCK = NAME.replace("manifests/", "locks/") + "-0011223344556677"
STEERING = {
    "sessions/0011223344556677": ObjectKind.SESSION,
    "collections/00000002": ObjectKind.COLLECTION,
    "collections/00000002.doomed": ObjectKind.COLLECTION,
    "collections/00000002.waits": ObjectKind.COLLECTION,
    "collections/00000002.end": ObjectKind.COLLECTION,
    DELETED: ObjectKind.MARK,
    LOCK: ObjectKind.MARK,
    "rules/00000001": ObjectKind.MARK,
    "rules/zz": ObjectKind.MARK,
    "damaged/0011223344556677-0011223344556677": ObjectKind.DAMAGE,
    "damaged/zz": ObjectKind.DAMAGE,
    "lost/0011223344556677": ObjectKind.DAMAGE,
}
FIELDS = ["presence", "commit", "owner", "packs", "marked", "sessions", "commits", "until", "machine", "pid"]
FIELDS += ["segments", "chunks", "pages", "soft_delete", "soft_delete_days", "immutability"]
LISTS = st.lists(st.sampled_from(["", "00" * 8, "zz", "manifests/1"]) | ODD, max_size=2)


@given(
    objects=st.dictionaries(
        st.sampled_from(sorted(STEERING)),
        st.dictionaries(st.sampled_from(FIELDS), LISTS | ODD) | ODD,
        min_size=1,
    )
)
@example(objects={"collections/00000002": {"owner": ""}, "collections/00000002.end": {"packs": ["zz"]}})
@example(
    objects={
        "collections/00000002": {"owner": ""},
        "collections/00000002.doomed": {"packs": [], "marked": []},
        "collections/00000002.waits": {"sessions": ["1"], "commits": []},
    }
)
@example(objects={"sessions/0011223344556677": {"presence": {"machine": "", "pid": 1e999, "started": 0}}})
@example(objects={DELETED: {"until": "2026-01-01"}})
@example(objects={"rules/zz": {"soft_delete": "Enabled", "soft_delete_days": 14, "immutability": "Locked"}})
@example(objects={"rules/00000001": {"soft_delete": "Enabled", "soft_delete_days": 10**12}})
@example(objects={"damaged/zz": {"segments": []}})
@example(objects={"damaged/0011223344556677-0011223344556677": {"segments": [2**32]}})
@example(objects={"lost/0011223344556677": {"chunks": "00" * 15, "pages": ""}})
def test_steering_objects(objects: dict[str, object]) -> None:
    """What is read is right; whatever else is asked for is done, or refused with an error of the house."""
    with in_order():
        storage, disks = small_vault()
        for name, value in objects.items():
            cipher = KEYS.new_cipher(STEERING[name], name, new_bytes)
            storage.objects[name] = seal_object(cipher, json.dumps(value).encode())
        try:
            vault = reopen(storage, Random(2))
        except OverwinterError:
            with suppress(OverwinterError):
                repair(storage, Random(3))
            return
        assert read(vault, vault.manifest("1")) == disks
        for work in (
            lambda: vault.verify(read_percent=100),
            lambda: vault.manifests(),
            lambda: vault.deleted_points(),
            lambda: back_up(vault, "2", disks),
            lambda: vault.collect(now=NOW),
            lambda: vault.rules(),
            lambda: vault.set_rules(VaultRules()),
            lambda: vault.undelete_point("1", now=NOW),
            lambda: vault.lock_point("1", NOW),
            lambda: vault.delete_point("1", now=NOW),
            lambda: repair(storage, Random(3)),
        ):
            with suppress(OverwinterError):
                work()


# --- manifests and config ---------------------------------------------------------------------------------


def document() -> dict[str, object]:
    """A right manifest as JSON."""
    with in_order():
        storage, _ = small_vault()
        sealed = seal_manifest(KEYS, new_bytes, NAME, reopen(storage, Random(2)).manifest("1"))
    plain = open_object(KEYS, ObjectKind.MANIFEST, NAME, sealed)
    found = json.loads(zstandard.ZstdDecompressor().decompress(plain))
    assert isinstance(found, dict)
    return found


def open_document(text: bytes) -> Manifest | None:
    cipher = KEYS.new_cipher(ObjectKind.MANIFEST, NAME, new_bytes)
    return open_manifest(KEYS, NAME, seal_object(cipher, zstandard.ZstdCompressor().compress(text)))


DOCUMENT = document()


@given(data=st.data())
def test_manifests_with_odd_fields(data: st.DataObject) -> None:
    changed = json.loads(json.dumps(DOCUMENT))
    place = changed
    while True:
        field = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[field], dict | list) and place[field] and data.draw(st.booleans()):
            place = place[field]
            continue
        if data.draw(st.booleans()):
            place[field] = data.draw(ODD)
        else:
            del place[field]
        break
    try:
        manifest = open_document(json.dumps(changed).encode())
    except VaultError as error:
        assert NAME in error.message
        return
    assert manifest is not None
    assert manifest.created.tzinfo is not None
    for disk in manifest.disks:
        assert disk.size == disk.map.size >= 0
        assert (type(disk.lun), len(disk.map.root), disk.map.chunk_size > 0) == (int, 16, True)


@pytest.mark.parametrize(
    "text", [b"", b"[" * 100_000, b"\xff\xfe{", b'{"version": ' + b"1" * 5000 + b"}", b"1"]
)
def test_what_is_no_manifest(text: bytes) -> None:
    with pytest.raises(VaultDataCorrupt, match=NAME):
        open_document(text)


@given(config=JSON | st.fixed_dictionaries({"chunk_size": ODD}))
@example(config={"chunk_size": CHUNK})
def test_configs(config: object) -> None:
    with in_order():
        storage, _ = small_vault()
        cipher = KEYS.new_cipher(ObjectKind.CONFIG, "config", new_bytes)
        storage.objects["config"] = seal_object(cipher, json.dumps(config).encode())
        try:
            vault = reopen(storage, Random(2))
        except VaultDataCorrupt as error:
            assert "config" in error.message
            return
        assert vault.chunk_size in {1 << power for power in range(12, 23)}
