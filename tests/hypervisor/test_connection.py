"""A libvirt that takes connections and says nothing."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from overwinter.hypervisor import connection
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import HypervisorUnavailable
from testkit.daemons import LIBVIRTD
from testkit.ground import Ground
from testkit.socket_proxy import SocketProxy, socket_proxy

pytestmark = pytest.mark.libvirt

THREADS = 4


@pytest.fixture
def hung(ground: Ground, tmp_path: Path) -> Iterator[SocketProxy]:
    with socket_proxy(tmp_path / "libvirt", LIBVIRTD.socket) as proxy:
        proxy.stall()
        yield proxy


@pytest.fixture
def hypervisor(hung: SocketProxy) -> Iterator[Hypervisor]:
    opened = Hypervisor(f"qemu+unix:///system?socket={hung.path}")
    yield opened
    hung.cut()
    opened.close()


def version(hypervisor: Hypervisor) -> int:
    with hypervisor.session() as libvirt:
        return int(libvirt.getLibVersion())


def test_everybody_gives_up_together_and_is_served_once_it_answers(
    hung: SocketProxy, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.5)
    told: list[HypervisorUnavailable] = []

    def ask() -> None:
        try:
            version(hypervisor)
        except HypervisorUnavailable as error:
            told.append(error)

    for _ in range(2):
        threads = [threading.Thread(target=ask) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(told) == 2 * THREADS
    assert "does not answer" in told[0].message
    assert told[0].cause == "C-LIBVIRT-HUNG"
    attempts = [each for each in threading.enumerate() if each.name == connection.CONNECTING]
    assert len(attempts) == 1  # all wait for the same one, those who come later too

    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 60)
    hung.connect()
    assert version(hypervisor) > 0


def test_a_libvirt_that_is_away_is_asked_again_each_time(hung: SocketProxy, hypervisor: Hypervisor) -> None:
    hung.cut()
    for _ in range(2):
        with pytest.raises(HypervisorUnavailable, match="Is its daemon running"):
            version(hypervisor)
    hung.connect()
    assert version(hypervisor) > 0
