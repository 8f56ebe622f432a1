"""The libvirt daemons start where none run, stay for whoever else uses them, and end with the last user.

Played in a world of its own (namespaces with an empty /run), beside the daemons this machine may have.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WORLD = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]

HIDE = """
for directory in /run /var/lib/libvirt /var/cache/libvirt /etc/libvirt; do
    mount -t tmpfs -o mode=755 tmpfs "$directory"
done
mkdir -p /run/lock
exec "$@"
"""

STORY = """
import signal, subprocess, sys
from testkit.daemons import LIBVIRTD, VIRTLOGD, libvirt_daemons
from testkit.waiting import wait_until

USER = "import sys, testkit.daemons as d\\nwith d.libvirt_daemons(): print(1, flush=True); sys.stdin.read()"

def another_user():
    user = subprocess.Popen([sys.executable, "-c", USER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    user.stdout.readline()
    return user

def both_run():
    return LIBVIRTD.pid is not None and VIRTLOGD.pid is not None

assert not LIBVIRTD.answers and not VIRTLOGD.answers
with libvirt_daemons() as started:
    assert started == (VIRTLOGD, LIBVIRTD)
    assert LIBVIRTD.answers and VIRTLOGD.answers
    with libvirt_daemons() as again:
        assert again == ()
    assert both_run(), "ended while somebody used them"
assert not LIBVIRTD.pid and not VIRTLOGD.pid
print("started and ended")

user = another_user()
with libvirt_daemons() as started:
    assert started == ()
    user.communicate(timeout=30)
    assert both_run(), "ended by one of two users"
assert not LIBVIRTD.pid and not VIRTLOGD.pid
print("ended by the last user")

user = another_user()
user.kill()
user.communicate()
assert both_run()
with libvirt_daemons() as started:
    assert started == ()
assert not LIBVIRTD.pid and not VIRTLOGD.pid
print("ended after a killed user")

subprocess.run(["virtlogd", "-d"], check=True)
wait_until(lambda: VIRTLOGD.answers, "virtlogd does not answer")
with libvirt_daemons() as started:
    assert started == (LIBVIRTD,)
    LIBVIRTD.end(signal.SIGKILL)
    LIBVIRTD.start()
    assert LIBVIRTD.answers
assert VIRTLOGD.pid and not LIBVIRTD.pid, "ended a daemon that somebody else started"
print("left alone")
"""


@pytest.mark.libvirt
def test_life_of_the_daemons() -> None:
    if subprocess.run([*WORLD, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make namespaces (CAP_SYS_ADMIN)")
    command = [*WORLD, "sh", "-e", "-c", HIDE, "sh", sys.executable, "-c", STORY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "started and ended",
        "ended by the last user",
        "ended after a killed user",
        "left alone",
    ]
