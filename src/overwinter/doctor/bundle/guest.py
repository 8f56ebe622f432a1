"""What the guest keeps of its agent and of our extension, brought out by the agent.

The guest is not trusted: what it says is bounded in time and size, and is text for people.
"""

from overwinter.doctor.bundle.tail import last_lines, printable
from overwinter.doctor.fact import NotKnown
from overwinter.extension.paths import LOG_FILE, SETTINGS_FILE
from overwinter.guest.agent import GuestAgent
from overwinter.guest.extension import FOLDER

#: Files of the guest: name in the bundle, what it is, where it lies. Distributions keep the agent's settings
#: in different places.
FILES = (
    ("guest/extension.log", "The extension's log.", LOG_FILE),
    ("guest/extension-status.json", "The extension's status file.", f"{FOLDER}/status/0.status"),
    ("guest/vmbackup.conf", "Settings of the extension.", SETTINGS_FILE),
    ("guest/qemu-ga.conf", "Settings of the agent.", "/etc/qemu/qemu-ga.conf"),
    ("guest/qemu-ga.sysconfig", "Options of the agent on systems of Red Hat.", "/etc/sysconfig/qemu-ga"),
)

MOST_BYTES = 256 << 10

#: The extension begins a new log at 1 MiB.
_LONGEST_FILE = 3 << 19

READ_S = 15.0
RUN_S = 12.0

#: The agent's own log: the journal has it under systemd; otherwise it is where somebody told it to be, and
#: these are the distributions' own choices.
_AGENT_LOG = f"""\
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
{{
    if [ -d /run/systemd/system ]; then
        journalctl --unit=qemu-guest-agent --unit=qemu-ga --lines=1000 --no-pager --output=short-iso 2>&1
    fi
    for file in /var/log/qemu-ga.log /var/log/qemu-ga/qemu-ga.log /var/log/qga-fsfreeze-hook.log; do
        [ -f "$file" ] && echo "== $file" && tail -n 1000 "$file"
    done
}} | tail -c {MOST_BYTES}
"""


def agent_log(agent: GuestAgent) -> str:
    """The end of the agent's log. Raises NotKnown when there is none, and what the agent's calls raise."""
    output = agent.run(["/bin/sh", "-c", _AGENT_LOG], RUN_S).output
    # Cut in the guest, it may begin with half a line.
    whole = output.partition(b"\n")[2] if len(output) >= MOST_BYTES else output
    if not whole:
        raise NotKnown("The guest has no log of its agent.")
    return printable(last_lines(whole, MOST_BYTES))


def file(agent: GuestAgent, path: str) -> str:
    """The end of a file. Raises what the agent's calls raise."""
    return printable(last_lines(agent.read_file(path, _LONGEST_FILE, READ_S), MOST_BYTES))
