"""Where this installation keeps its things and which hypervisor it serves."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from overwinter.hypervisor.connection import DEFAULT_URI

DEFAULT_DIRECTORY = Path("/var/lib/overwinter")
DEFAULT_IMAGES = Path("/var/lib/libvirt/images")

#: Least free space of the file system that gets the overlay.
OVERLAY_RESERVE_BYTES = 1 << 30


@dataclass(frozen=True)
class Settings:
    """Settings of one service.

    ``directory`` holds the catalog, vaults, keys and credentials; ``images`` gets the disks of restored VMs
    when a restore names no directory. ``database`` is an SQLAlchemy URL; null means SQLite files in
    ``directory``. ``host`` names this hypervisor host: its job queue and its worker.
    """

    directory: Path = DEFAULT_DIRECTORY
    images: Path = DEFAULT_IMAGES
    hypervisor: str = DEFAULT_URI
    database: str | None = None
    host: str = field(default_factory=socket.gethostname)

    @property
    def catalog_url(self) -> str:
        """Database of resources and jobs."""
        return self.database or f"sqlite:///{self.directory}/catalog.db"

    @property
    def engine_url(self) -> str:
        """Database in which the durable engine keeps the progress of workflows."""
        return self.database or f"sqlite:///{self.directory}/engine.db"
