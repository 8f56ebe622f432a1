"""One running guest with agent and two file systems for all tests that leave it as it was."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from overwinter.guest.agent import GuestAgent
from overwinter.hypervisor.connection import Hypervisor
from testkit.disks import DiskSpec
from testkit.domains import GuestMaker, TinyGuest


@pytest.fixture(scope="session")
def hypervisor() -> Iterator[Hypervisor]:
    opened = Hypervisor()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def guest(guests: GuestMaker) -> Iterator[TinyGuest]:
    made = guests.make("guestroom", [DiskSpec("qcow2"), DiskSpec("raw")])
    yield made
    guests.remove(made)


@pytest.fixture(scope="session")
def uuid(guest: TinyGuest) -> UUID:
    return UUID(guest.domain.UUIDString())


@pytest.fixture(scope="session")
def agent(hypervisor: Hypervisor, uuid: UUID) -> GuestAgent:
    return GuestAgent(hypervisor, uuid)
