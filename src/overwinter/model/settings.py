"""How one service is set up: where it keeps its things and which hypervisor it serves."""

from dataclasses import dataclass
from pathlib import Path

from overwinter.model.agent import DEFAULT_VERSIONS, AgentVersions
from overwinter.model.profile import OVERWINTER, SupportProfile

DEFAULT_DIRECTORY = Path("/var/lib/overwinter")
DEFAULT_IMAGES = Path("/var/lib/libvirt/images")
DEFAULT_HYPERVISOR = "qemu:///system"


@dataclass(frozen=True)
class Settings:
    """Settings of one service.

    ``host`` names this hypervisor host: its job queue and its worker. ``directory`` holds the catalog,
    vaults, keys and credentials; ``images`` gets the disks of restored VMs when a restore names no directory.
    ``database`` is a PostgreSQL URL; null means SQLite files in ``directory``. ``profile`` says what is
    supported, and how the service behaves at its limits; ``agent_versions`` what is expected of guest agents.
    """

    host: str
    directory: Path = DEFAULT_DIRECTORY
    images: Path = DEFAULT_IMAGES
    hypervisor: str = DEFAULT_HYPERVISOR
    database: str | None = None
    profile: SupportProfile = OVERWINTER
    agent_versions: AgentVersions = DEFAULT_VERSIONS

    @property
    def catalog_url(self) -> str:
        """Database of resources and jobs."""
        return self.database or f"sqlite:///{self.directory}/catalog.db"

    @property
    def engine_url(self) -> str:
        """Database in which the durable engine keeps the progress of workflows."""
        return self.database or f"sqlite:///{self.directory}/engine.db"

    @property
    def log_file(self) -> Path:
        """What the service says, besides its standard error; bounded, see ``cli/service_log.py``."""
        return self.directory / "log" / "service.log"
