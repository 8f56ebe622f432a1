"""The API served for a test: real TLS on a free port, in a thread, over the fake service."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from overwinter.api.server import make_server
from overwinter.api.state import StateDirectory
from tests.api.fake_service import FakeService

SUBSCRIPTION = f"/subscriptions/{FakeService.subscription_id}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/default"
MACHINES = f"{GROUP}/providers/Microsoft.Compute/virtualMachines"
VAULTS = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults"
VAULT = f"{VAULTS}/v1"


def item_path(vm: str) -> str:
    name = f"iaasvmcontainerv2;default;{vm.lower()}"
    return f"{VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}/protectedItems/VM;{name}"


@dataclass(frozen=True)
class Served:
    service: FakeService
    directory: Path
    http: httpx.Client


@contextmanager
def serve(service: FakeService, directory: Path) -> Iterator[Served]:
    server, listening = make_server(service, directory, host="127.0.0.1", port=0, now=datetime.now(UTC))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        state = StateDirectory(directory)
        trust = ssl.create_default_context(cafile=str(state.info().ca_file))
        headers = {"Authorization": f"Bearer {state.token()}"}
        with httpx.Client(base_url=state.info().endpoint, verify=trust, headers=headers, timeout=20) as http:
            yield Served(service, directory, http)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
