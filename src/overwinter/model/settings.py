"""What a person decides when the service is started."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of one service.

    ``directory`` holds its state, and vaults and keys by default. ``database_url`` is null for the embedded
    database in that directory. ``images_directory`` is where disks of restored VMs are put when a restore
    names no place; null means below ``directory``.
    """

    directory: Path
    database_url: str | None
    hypervisor_uri: str
    images_directory: Path | None
