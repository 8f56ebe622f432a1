"""What several tests of the vault room share."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from overwinter.vault import reserve
from overwinter.vault.storage import ObjectStorage
from overwinter.vault.storage.location import AzureLocation, S3Location
from testkit.fault_proxy import fault_proxy
from tests.vault.damages import SEGMENT
from tests.vault.stores import Faulty, azure_location, s3_location


@pytest.fixture(params=["s3", "azure"])
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Faulty]:
    server = request.getfixturevalue(request.param)
    make: Callable[..., S3Location | AzureLocation] = s3_location if request.param == "s3" else azure_location
    with fault_proxy(server.port) as proxy:
        location = make(server, tmp_path, proxy.port)
        endpoint = location.endpoint.replace(str(proxy.port), str(server.port))
        yield Faulty(location, ObjectStorage(replace(location, endpoint=endpoint)), proxy)


@pytest.fixture(scope="session", autouse=True)
def small_reserve() -> Iterator[None]:
    """Hundreds of vaults on one machine hold little back, and copies of them are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reserve, "LARGEST", 256 * 1024)
        yield


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four chunks in a segment (``SEGMENT``), and packs of 64 KiB."""
    monkeypatch.setattr("overwinter.vault.session._BATCH_BYTES", SEGMENT)
    monkeypatch.setattr("overwinter.vault.pack.PACK_SIZE", 64 * 1024)
