"""Everything a test session or the demo stands on, in one call: daemons, connection, run, guest maker."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import libvirt

from testkit.accelerator import Accelerator, accelerator
from testkit.daemons import LIBVIRT_URI, libvirt_daemons
from testkit.domains import GuestMaker
from testkit.guest import guest_image
from testkit.runs import Run, begin_run


@dataclass(frozen=True)
class Ground:
    """What ``prepare`` made ready."""

    connection: libvirt.virConnect
    run: Run
    accelerator: Accelerator
    guests: GuestMaker

    def reconnected(self) -> "Ground":
        """The same after libvirtd was restarted; to be closed by the caller."""
        connection = libvirt.open(LIBVIRT_URI)
        return replace(self, connection=connection, guests=self.guests.on(connection))


@contextmanager
def prepare() -> Iterator[Ground]:
    """Daemons run, leftovers are swept, boot files built, an accelerator chosen; removed at the end."""
    # Errors are raised as exceptions; libvirt would print each of them to stderr as well.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    image = guest_image()
    chosen = accelerator(image.kernel)
    with libvirt_daemons():
        connection = libvirt.open(LIBVIRT_URI)
        try:
            with begin_run() as run:
                guests = GuestMaker(connection, run, image.copy_to(run.directory), chosen)
                yield Ground(connection, run, chosen, guests)
        finally:
            connection.close()
