"""The API served for tests: real TLS on a free port, in a thread, over the fake service."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from fastapi import FastAPI

from overwinter.api.server import make_server
from overwinter.api.state import StateDirectory
from tests.api.fake_doctor import FakeDoctor
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
class Running:
    """A server that runs, and where its clients find it."""

    app: FastAPI
    state: StateDirectory

    def client(self) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self.state.info().ca_file))
        headers = {"Authorization": f"Bearer {self.state.token()}"}
        return httpx.Client(base_url=self.state.info().endpoint, verify=trust, headers=headers, timeout=20)


@dataclass(frozen=True)
class Served:
    """A server with a service and a doctor of the test's own behind it."""

    service: FakeService
    doctor: FakeDoctor
    directory: Path
    http: httpx.Client


@contextmanager
def serving(directory: Path, port: int = 0) -> Iterator[Running]:
    """Run a server; its service is exchanged by whoever uses it."""
    server, listening = make_server(
        FakeService(), FakeDoctor(), directory, host="127.0.0.1", port=port, now=datetime.now(UTC)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        app = server.config.app
        assert isinstance(app, FastAPI)
        yield Running(app, StateDirectory(directory))
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def fresh_doctor(running: Running) -> FakeDoctor:
    """Put a new doctor behind a running server."""
    doctor = FakeDoctor()
    running.app.state.doctor = doctor
    return doctor


def fresh_service(running: Running) -> FakeService:
    """Put a new service with two VMs (Web01, db01) and the vault v1 behind a running server."""
    service = FakeService("Web01", "db01")
    service.vaults.create("v1", "default")
    running.app.state.service = service
    return service
