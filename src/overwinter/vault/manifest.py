"""Manifests: one recovery point each, with everything needed to make the VM again. The only commit point."""

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import zstandard

from overwinter.model.errors import VaultDataCorrupt, VaultFormatUnsupported
from overwinter.model.point import Consistency
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.seal import (
    ID_LENGTH,
    ObjectKind,
    Random,
    VaultKeys,
    open_object,
    seal_object,
    stored_kind,
)
from overwinter.vault.zstd import decompress

_VERSION = 1

#: A manifest's JSON is never larger: the largest firmware has 64 MiB of variables.
_MOST_CONTENT = 256 * 1024 * 1024


@dataclass(frozen=True)
class ManifestDisk:
    """One disk of a recovery point.

    ``format`` and ``cluster_size`` (bytes, null where the format has none) describe the original image file;
    ``map`` its content.
    """

    target: str
    lun: int
    size: int
    format: str
    cluster_size: int | None
    map: DiskMap


@dataclass(frozen=True)
class Manifest:
    """One recovery point: the VM it is of, its disks, and the VM's definition.

    ``point_id`` is its name in the vault. ``created`` is aware. ``nvram`` is the firmware's variable store,
    null where the VM has none. ``properties`` holds JSON values for whoever wrote the point. From ``expires``
    on it may go without being deleted by anybody, as was promised when it was made; null: not promised.
    """

    point_id: str
    vm_uuid: UUID
    vm_name: str
    created: datetime
    consistency: Consistency
    disks: tuple[ManifestDisk, ...]
    domain_xml: str
    nvram: bytes | None = None
    properties: dict[str, object] = field(default_factory=dict)
    expires: datetime | None = None


MANIFESTS = "manifests/"


def manifest_object(keys: VaultKeys, point_id: str, attempt: int) -> str:
    """Object name of a recovery point's manifest at one attempt to commit it, from 0."""
    return f"{MANIFESTS}{keys.manifest_name(point_id, attempt)}"


def seal_manifest(keys: VaultKeys, random: Random, name: str, manifest: Manifest) -> bytes:
    """The manifest as object ``name``. Raises ``ValueError`` when its time is not aware."""
    if manifest.created.tzinfo is None:
        raise ValueError("a recovery point's time must say its zone")
    document = {
        "version": _VERSION,
        "point": manifest.point_id,
        "vm": {"uuid": str(manifest.vm_uuid), "name": manifest.vm_name},
        "created": manifest.created.astimezone(UTC).isoformat(),
        "consistency": manifest.consistency.value,
        "disks": [
            {
                "target": disk.target,
                "lun": disk.lun,
                "size": disk.size,
                "format": disk.format,
                "cluster_size": disk.cluster_size,
                "map": {
                    "size": disk.map.size,
                    "root": disk.map.root.hex(),
                    "chunk_size": disk.map.chunk_size,
                },
            }
            for disk in manifest.disks
        ],
        "domain_xml": manifest.domain_xml,
        "nvram": None if manifest.nvram is None else base64.b64encode(manifest.nvram).decode(),
        "properties": manifest.properties,
        "expires": None if manifest.expires is None else manifest.expires.astimezone(UTC).isoformat(),
    }
    plain = zstandard.ZstdCompressor().compress(json.dumps(document).encode())
    return seal_object(keys.new_cipher(ObjectKind.MANIFEST, name, random), plain)


def open_manifest(keys: VaultKeys, name: str, stored: bytes) -> Manifest | None:
    """The manifest in an object; null for a tombstone, which keeps a dead writer from committing there.

    Raises ``VaultDataCorrupt`` and ``VaultFormatUnsupported``.
    """
    if stored_kind(stored) == ObjectKind.TOMBSTONE:
        open_object(keys, ObjectKind.TOMBSTONE, name, stored)
        return None
    content = open_object(keys, ObjectKind.MANIFEST, name, stored)
    try:
        document = json.loads(decompress(zstandard.ZstdDecompressor(), content, _MOST_CONTENT))
        if document["version"] != _VERSION:
            raise VaultFormatUnsupported(
                f"Vault object {name} has version {document['version']}; use a newer Overwinter."
            )
        return _manifest(document)
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise VaultDataCorrupt(f"Vault object {name} holds no recovery point: {error!r}") from error


def _manifest(document: dict[str, object]) -> Manifest:
    vm = _object(document["vm"])
    disks = document["disks"]
    if not isinstance(disks, list):
        raise TypeError("disks is no list")
    nvram = document["nvram"]
    return Manifest(
        point_id=_text(document["point"]),
        vm_uuid=UUID(_text(vm["uuid"])),
        vm_name=_text(vm["name"]),
        created=_time(document["created"]),
        consistency=Consistency(_text(document["consistency"])),
        disks=tuple(_disk(_object(disk)) for disk in disks),
        domain_xml=_text(document["domain_xml"]),
        nvram=None if nvram is None else base64.b64decode(_text(nvram), validate=True),
        properties=_object(document["properties"]),
        expires=None if (expires := document.get("expires")) is None else _time(expires),
    )


def _disk(fields: dict[str, object]) -> ManifestDisk:
    cluster_size = fields["cluster_size"]
    size = _number(fields["size"])
    if size < 0:
        raise ValueError(f"a disk of {size} bytes")
    return ManifestDisk(
        target=_text(fields["target"]),
        lun=_number(fields["lun"]),
        size=size,
        format=_text(fields["format"]),
        cluster_size=None if cluster_size is None else _number(cluster_size),
        map=_map(_object(fields["map"]), size),
    )


def _map(fields: dict[str, object], disk_size: int) -> DiskMap:
    size, chunk_size = _number(fields["size"]), _number(fields["chunk_size"])
    root = bytes.fromhex(_text(fields["root"]))
    if size != disk_size or chunk_size <= 0 or len(root) != ID_LENGTH:
        raise ValueError(f"{fields} is no map of a disk of {disk_size} bytes")
    return DiskMap(size, root, chunk_size)


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError(f"{value!r} says no zone")
    return time


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> int:
    if type(value) is not int:  # a bool is an int, too
        raise TypeError(f"{value!r} is no whole number")
    return value
