"""The qemu-nbd behind a disk lives exactly as long as it is needed, whoever dies."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from overwinter.images.frozen import FrozenDisk
from overwinter.images.reader import open_frozen
from overwinter.model.errors import ImageError

from .disks import GIB, MIB, make_base, read, servers_of, wait_until


def test_close_ends_the_server(tmp_path: Path) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", MIB)
    with open_frozen((layer,)):
        assert len(servers_of(layer.path)) == 1
    assert not servers_of(layer.path)
    with pytest.raises(ZeroDivisionError), open_frozen((layer,)):
        _ = 1 / 0
    assert not servers_of(layer.path)


def test_the_server_lives_longer_than_the_thread_that_started_it(tmp_path: Path) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", MIB)
    disks: list[FrozenDisk] = []
    thread = threading.Thread(target=lambda: disks.append(open_frozen((layer,))))
    thread.start()
    thread.join()
    with disks[0] as disk:
        assert read(disk, 0, MIB) == bytes(MIB)


@pytest.mark.parametrize("moment", ["open", "opening"])
def test_killed_process_leaves_no_server(tmp_path: Path, moment: str) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", MIB)
    program = (
        "import sys, signal\n"
        "from overwinter.images import server\n"
        "from overwinter.images.reader import open_frozen\n"
        "from overwinter.model.vm import ImageLayer\n"
        "if sys.argv[2] == 'opening':\n"
        "    server.NbdServer._handshake = lambda *_: (print('ready', flush=True), signal.pause())\n"
        "disk = open_frozen((ImageLayer(sys.argv[1], 'qcow2'),))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, layer.path, moment], stdout=subprocess.PIPE, env=dict(os.environ)
    )
    assert child.stdout and child.stdout.readline() == b"ready\n"
    wait_until(lambda: len(servers_of(layer.path)) == 1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    wait_until(lambda: not servers_of(layer.path))


def test_killed_server_is_an_error_at_once(tmp_path: Path) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", GIB)
    with open_frozen((layer,)) as disk:
        os.kill(servers_of(layer.path)[0], signal.SIGKILL)
        with pytest.raises(ImageError, match=layer.path):
            read(disk, 0, MIB)
        with pytest.raises(ImageError, match=layer.path):
            list(disk.extents(None))
