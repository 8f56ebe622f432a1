"""What faults happen to: a real service whose way to libvirt and to its database can be cut, and its VMs."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import libvirt

from overwinter.doctor.doctor import explain
from overwinter.model.agent import DEFAULT_VERSIONS, AgentVersions
from overwinter.model.default_policies import standard_content
from overwinter.model.extension import Extension
from overwinter.model.point import Consistency
from overwinter.model.policy import DEFAULT_POLICY
from overwinter.model.profile import OVERWINTER, find_profile
from testkit.daemons import LIBVIRTD
from testkit.debian_domains import make_debian_guest
from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.file_systems import small_file_system
from testkit.gallery.patient import Patient
from testkit.ground import Ground
from testkit.job_days import Clock
from testkit.postgres import postgres_server
from testkit.socket_proxy import SocketProxy, socket_proxy
from testkit.station import Station, open_station

Result = TypeVar("Result")

#: A service with our own profile whose catalog is on a PostgreSQL server.
POSTGRESQL = "postgresql"

#: One that wants guest agents of a version that none has yet.
DEMANDING = "demanding"

_SOCKET = ".s.PGSQL.5432"


@dataclass
class Scene:
    """A service, and VMs for faults to happen to."""

    station: Station
    clock: Clock
    libvirt: SocketProxy
    database: SocketProxy | None = None
    _running: dict[str, Patient] = field(default_factory=dict, repr=False)
    _over: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def ground(self) -> Ground:
        """What the service stands on."""
        return self.station.ground

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While one fault is shown; afterwards everything goes that was made for it."""
        with ExitStack() as self._over:
            yield

    def meanwhile(self, what: AbstractContextManager[Result]) -> Result:
        """Have something until the fault was shown."""
        return self._over.enter_context(what)

    def directory(self) -> Path:
        """A new name in the scene's directory, for nobody yet."""
        return self.station.directory / f"gallery-{uuid4().hex[:6]}"

    def small_directory(self, mib: int, options: str = "") -> Path:
        """A new directory that is a file system of so many MiB."""
        return self.meanwhile(small_file_system(self.directory(), mib, options))

    def running(self) -> Patient:
        """The VM that runs, healthy, shared by faults that leave it so. Its policy wants frozen systems."""
        return self._shared("plain", lambda: self._make_guest("qcow2", start=True))

    def running_with_python(self) -> Patient:
        """One like it whose guest has Python, and so the extension."""
        return self._shared("python", self._make_guest_with_python)

    def running_debian(self) -> Patient:
        """One like it with a whole Debian: systemd, packages, services."""
        patient = self._shared("debian", lambda: make_debian_guest(self.ground, f"gal-{uuid4().hex[:6]}"))
        patient.directories = "/var/tmp"
        return patient

    def _shared(self, kind: str, make: Callable[[], TinyGuest]) -> Patient:
        if kind not in self._running:
            self._running[kind] = self.protect(make(), self.strict_policy())
        return self._running[kind]

    def stopped(self, *formats: str) -> Patient:
        """A new VM that is off."""
        return self.protect(self.make_guest(*formats))

    def strict_policy(self) -> str:
        """A policy that wants frozen file systems."""
        return self.station.put_policy(
            "Gallery", replace(standard_content(), extension=Extension(Consistency.FILE_SYSTEM, retries=0))
        )

    def make_guest(
        self, *formats: str, start: bool = False, file_system: bool = False, agent: bool = True
    ) -> TinyGuest:
        """A new guest. One that is started has file systems."""
        guest = self._make_guest(*formats or ("qcow2",), start=start, file_system=file_system, agent=agent)
        self._over.callback(self.ground.guests.remove, guest)
        return guest

    def make_guest_with_python(self) -> TinyGuest:
        """A new guest that runs and can have the extension."""
        guest = self._make_guest_with_python()
        self._over.callback(self.ground.guests.remove, guest)
        return guest

    def make_guest_in(self, place: Path, *, size: int = 64 * MIB, start: bool = False) -> TinyGuest:
        """A new guest whose disk lies in ``place``."""
        guest = self.ground.guests.make(f"gal-{uuid4().hex[:6]}", [DiskSpec(size=size)], start=False)
        self._over.callback(self.ground.guests.remove, guest)
        old = guest.disks["vda"]
        new = place / old.name
        subprocess.run(["cp", "--sparse=always", old, new], check=True)
        old.unlink()
        redefine(guest, str(old), str(new))
        guest.disks["vda"] = new
        if start:
            guest.start()
        return guest

    def _make_guest(
        self, *formats: str, start: bool, file_system: bool = False, agent: bool = True
    ) -> TinyGuest:
        specs = [DiskSpec(form, size=64 * MIB, file_system=start or file_system) for form in formats]
        return self.ground.guests.make(f"gal-{uuid4().hex[:6]}", specs, start=start, agent=agent)

    def _make_guest_with_python(self) -> TinyGuest:
        maker = self.ground.guests.with_python()
        return maker.make(f"gal-{uuid4().hex[:6]}", [DiskSpec(size=64 * MIB)])

    def protect(self, guest: TinyGuest, policy: str = DEFAULT_POLICY, vault: str | None = None) -> Patient:
        """The guest under protection; in a vault of its own when ``vault`` says where that shall lie."""
        station = self.station
        if vault is not None:
            made = station.service.vaults.create(f"v{uuid4().hex[:8]}", "default", vault)
            station = replace(station, vault=made)
        return Patient(station, self.clock, guest, station.protect(guest, policy))

    def in_own_vault(self, url: str | None = None) -> Patient:
        """A new VM that is off, with one good backup in a vault of its own."""
        patient = self.protect(self.make_guest(), vault=url or self.directory().as_uri())
        patient.backup_is_right()
        return patient

    def give_up_running(self) -> None:
        """Make other running VMs for the next fault, since these may not be healthy any more."""
        for patient in self._running.values():
            self.ground.guests.remove(patient.guest)
        self._running = {}


def redefine(guest: TinyGuest, old: str, new: str) -> None:
    """Replace a piece of a guest's persistent definition."""
    xml = guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert old in xml
    guest.domain.connect().defineXML(xml.replace(old, new))


@contextmanager
def open_scene(ground: Ground, place: str = OVERWINTER.name) -> Iterator[Scene]:
    """A scene with a service of that support profile, or of one of the kinds above with our own."""
    directory = ground.run.directory / f"gallery-{uuid4().hex[:6]}"
    directory.mkdir(mode=0o755)
    clock = Clock()
    with ExitStack() as stack:
        daemon = stack.enter_context(socket_proxy(directory / "libvirt", LIBVIRTD.socket))
        database, url = None, None
        if place == POSTGRESQL:
            server = stack.enter_context(postgres_server(directory / "postgres"))
            database = stack.enter_context(socket_proxy(directory / _SOCKET, server.directory / _SOCKET))
            url = server.new_database().replace(str(server.directory), str(directory))
        profile = OVERWINTER if place in (POSTGRESQL, DEMANDING) else find_profile(place)
        versions = AgentVersions(minimum="99") if place == DEMANDING else DEFAULT_VERSIONS
        hypervisor = f"qemu+unix:///system?socket={daemon.path}"
        station = stack.enter_context(
            open_station(ground, url, clock, hypervisor, profile, explain, versions)
        )
        yield Scene(station, clock, daemon, database)
