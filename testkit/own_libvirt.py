"""A libvirt of its own for a program that kills libvirtd: nobody else on the machine notices.

The program runs in namespaces in which libvirt's places are empty, so that the daemons it starts there are
its own, and in which all processes end with it.
"""

import os
import sys

from testkit.guest import guest_image
from testkit.guest_python import guest_image_with_python

#: Where libvirt keeps sockets and process ids, definitions, and what it knows of running domains.
_PLACES = "/run /etc/libvirt/qemu /var/lib/libvirt"

#: In the environment of a program that has just been started there.
_MARK = "OVERWINTER_OWN_LIBVIRT"

_NAMESPACES = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")

#: The shell stays as process 1, which has to bury what daemons leave. Without control groups nothing of the
#: guests is left over on the host.
_SHELL = f"""
set -e
for place in {_PLACES}; do mount -t tmpfs -o mode=755 tmpfs $place; done
umount --recursive /sys/fs/cgroup
"$@"
exit
"""


def move_there() -> None:
    """Start the whole program again with a libvirt of its own; comes back at once in the one that has it.

    Needs root. Boot files of guests are built before, because a network may need what is below /run.
    """
    if os.environ.pop(_MARK, None):
        return
    guest_image()
    guest_image_with_python()
    os.environ[_MARK] = "1"
    os.execvp("unshare", ["unshare", *_NAMESPACES, "sh", "-c", _SHELL, "sh", *sys.orig_argv])
