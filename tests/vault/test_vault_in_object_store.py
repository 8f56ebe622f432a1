"""A whole vault in S3 and in Azure Blob: made, filled, restored from, cleaned, its index made anew."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from overwinter.model.errors import AlreadyExists, VaultObjectMissing
from overwinter.vault import create_vault, open_vault, rebuild_index
from overwinter.vault.storage import ReadCache, open_storage
from tests.vault.disks import NOW, VAULT_ID, back_up, key, manifest, noise, read_from, restore
from tests.vault.stores import azure_location, s3_location

MIB = 1024 * 1024

pytestmark = pytest.mark.object_stores


@pytest.fixture(params=["s3", "azure"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A vault URL as an operator writes it, with the credentials in a file."""
    server = request.getfixturevalue(request.param)
    if request.param == "s3":
        s3 = s3_location(server, tmp_path)
        place = f"s3://{s3.bucket}/{s3.prefix}"
        settings = {"endpoint": s3.endpoint, "region": s3.region, "credentials": s3.credentials}
    else:
        azure = azure_location(server, tmp_path)
        place = f"azure://{azure.account}/{azure.container}/{azure.prefix}"
        settings = {"endpoint": azure.endpoint, "credentials": azure.credentials}
    return f"{place}?{urlencode(settings)}"


def test_a_whole_life(url: str, tmp_path: Path) -> None:
    disks = {point: noise(point, 2 * MIB) + bytes(MIB) + noise(9, 40 * MIB) for point in (1, 2)}
    vault = create_vault(url, key(), vault_id=VAULT_ID)
    with pytest.raises(AlreadyExists):
        create_vault(url, key(), vault_id=VAULT_ID)
    maps = {point: back_up(vault, str(point), disk) for point, disk in disks.items()}
    with vault.session("2") as session:
        session.store_disk("vda", 4 * MIB, [], read_from(noise(5, 4 * MIB)))  # never committed

    cache = ReadCache(tmp_path / "cache", 64 * MIB)
    for _ in range(2):  # from the store, then in part from the cache
        vault = open_vault(url, key(), cache)
        assert [point.point_id for point in vault.manifests()] == ["1", "2"]
        for point, disk in disks.items():
            assert vault.manifest(str(point)) == manifest(str(point), maps[point])
            assert restore(vault, maps[point]) == disk
            assert vault.read_range(maps[point], MIB + 5, 3 * MIB) == disk[MIB + 5 : 4 * MIB + 5]

    vault.delete_point("1", now=NOW)
    vault.collect(now=NOW)
    storage = open_storage(url)
    index = [stored.name for stored in storage.list("index/")]
    storage.delete(index[:1])
    rebuild_index(url, key())
    with pytest.raises(VaultObjectMissing):
        storage.get(index[0])
    vault = open_vault(url, key(), cache)
    assert [point.point_id for point in vault.manifests()] == ["2"]
    assert restore(vault, maps[2]) == disks[2]
