"""Object stores for tests: locations on the servers of the kit, with credentials in files; faulty ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overwinter.vault.storage import ObjectStorage, Storage
from overwinter.vault.storage.connection import Patience
from overwinter.vault.storage.location import AzureLocation, S3Location
from testkit.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from testkit.fault_proxy import FaultProxy
from testkit.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server
from testkit.servers import LOOPBACK

PREFIX = "vaults/one"

#: Longer than any test lasts, and as short as a test of giving up can bear.
PATIENT = Patience(connect=5, request=60, retry=120)
HASTY = Patience(connect=1, request=2, retry=1)


def s3_location(server: S3Server, directory: Path, port: int | None = None) -> S3Location:
    """A new bucket, asked through ``port`` if one is given; ``directory`` takes the credentials."""
    return S3Location(
        bucket=server.new_bucket(),
        prefix=PREFIX,
        endpoint=f"http://{LOOPBACK}:{port or server.port}",
        region="us-east-1",
        credentials=credentials_file(
            directory, AWS_ACCESS_KEY_ID=ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET_ACCESS_KEY
        ),
    )


def azure_location(server: Azurite, directory: Path, port: int | None = None) -> AzureLocation:
    """A new container, as ``s3_location``."""
    return AzureLocation(
        account=ACCOUNT,
        container=server.new_container(),
        prefix=PREFIX,
        endpoint=f"http://{LOOPBACK}:{port or server.port}/{ACCOUNT}",
        credentials=credentials_file(directory, AZURE_STORAGE_ACCOUNT_KEY=ACCOUNT_KEY),
    )


def credentials_file(directory: Path, **variables: str) -> Path:
    """A file as operators write it."""
    file = directory / f"credentials-{len(list(directory.iterdir()))}"
    file.touch(mode=0o600)
    file.write_text("# tests\n\n" + "".join(f"{name} = {value}\n" for name, value in variables.items()))
    return file


@dataclass(frozen=True)
class Faulty:
    """A store behind a proxy that harms what it is told to, and the same store asked directly."""

    location: S3Location | AzureLocation
    direct: ObjectStorage
    proxy: FaultProxy

    def storage(self, patience: Patience = PATIENT) -> ObjectStorage:
        """The store through the proxy, its conditional puts checked already."""
        storage = ObjectStorage(self.location, patience)
        storage.put(f"keys/{self.proxy.port}", [b"warm"])
        return storage


def actions(storage: Storage) -> list[Callable[[], object]]:
    """One of each kind."""
    return [
        lambda: storage.put("packs/00/9", [b"1"]),
        lambda: storage.get("index/1"),
        lambda: storage.get_range("index/1", 0, 1),
        lambda: storage.list("index/"),
        lambda: storage.delete(["packs/00/9", "packs/00/8"]),
    ]
