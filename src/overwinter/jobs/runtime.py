"""What every job works with: the catalog, the hypervisor, the open vaults, the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from overwinter.catalog.database import Catalog
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs.vault_stores import VaultStores
from overwinter.model.settings import Settings


@dataclass(frozen=True)
class Runtime:
    """The parts of a running service. ``clock`` gives the present time with a zone."""

    settings: Settings
    catalog: Catalog
    hypervisor: Hypervisor
    vaults: VaultStores
    clock: Callable[[], datetime]

    def close(self) -> None:
        """Release everything."""
        self.vaults.close()
        self.hypervisor.close()
        self.catalog.close()
