"""Which file systems of the guest are frozen, in which order, and why others are not.

Source is ``/proc/PID/mountinfo``. A file system that is mounted several times (bind mounts, containers) is
frozen once. Python 3.6, standard library only.
"""

import os
from typing import Dict, Iterable, List, NamedTuple, Optional, Set

#: Without a block device of their own, and yet with data on the machine's disks.
LOCAL_WITHOUT_DEVICE = frozenset(["bcachefs", "btrfs", "zfs"])

#: Their servers answer for them, and opening a mount point may hang when a server is gone.
NETWORK = frozenset(["9p", "afs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs"])
NETWORK |= frozenset(["nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs"])

#: Stacked on another file system, which is frozen itself.
STACKED = frozenset(["aufs", "ecryptfs", "overlay", "overlayfs", "shiftfs", "unionfs"])

#: Only loop devices have this major number.
_LOOP_MAJOR = "7"

#: Mount namespaces that are looked into besides the own one.
MOST_NAMESPACES = 64


class Reason:
    """Why a mount is not frozen; the words are part of the protocol with the host."""

    READ_ONLY = "read-only"
    NETWORK = "network"
    FUSE = "fuse"
    STACKED = "stacked"
    LOOP = "loop"
    EXCLUDED = "excluded"
    HIDDEN = "hidden"
    UNFREEZABLE = "unfreezable"
    FAILED = "failed"


class Mount(NamedTuple):
    """One line of mountinfo.

    ``device`` is major:minor of the file system; ``read_only`` is that of the file system, not of this mount
    of it. ``root`` stands before ``point`` to reach a mount of another mount namespace.
    """

    id: int
    device: str
    point: str
    type: str
    source: str
    read_only: bool
    root: str = ""


class Candidate(NamedTuple):
    """A file system with all its mounts, the first of them the one that tells its place in the order.

    ``why_not`` is null for one that is to be frozen.
    """

    mounts: List[Mount]
    why_not: Optional[str]

    @property
    def first(self) -> Mount:
        """The mount that came first."""
        return self.mounts[0]


def parse(text: str, root: str = "") -> List[Mount]:
    """Mounts in the order of the file. A line of an unknown form is an error: ValueError, IndexError."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        mounts.append(
            Mount(
                id=int(fields[0]),
                device=fields[2],
                point=_unescaped(fields[4]),
                type=rest[0],
                source=_unescaped(rest[1]),
                read_only="ro" in rest[2].split(","),
                root=root,
            )
        )
    return mounts


def _unescaped(text: str) -> str:
    r"""The kernel writes blanks, tabs, line ends and backslashes as ``\ooo``."""
    for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escaped, plain)
    return text


def every_mount(proc: str = "/proc") -> List[Mount]:
    """The mounts of this process, then those that only other mount namespaces have (containers, services).

    A namespace of which a process ends meanwhile is left out: its private mounts end with it.
    """
    mounts = _read(os.path.join(proc, "self"), "")
    seen_devices = {mount.device for mount in mounts}
    seen_namespaces = {os.readlink(os.path.join(proc, "self/ns/mnt"))}
    for name in os.listdir(proc):
        if not name.isdigit() or len(seen_namespaces) > MOST_NAMESPACES:
            continue
        process = os.path.join(proc, name)
        try:
            namespace = os.readlink(os.path.join(process, "ns/mnt"))
            if namespace in seen_namespaces:
                continue
            seen_namespaces.add(namespace)
            found = _read(process, os.path.join(process, "root"))
        except OSError:
            continue
        mounts += [mount for mount in found if mount.device not in seen_devices]
        seen_devices |= {mount.device for mount in found}
    return mounts


def _read(process: str, root: str) -> List[Mount]:
    with open(os.path.join(process, "mountinfo"), errors="surrogateescape") as file:
        return parse(file.read(), root)


def choose(mounts: Iterable[Mount], excluded: Iterable[str], loops: Set[str]) -> List[Candidate]:
    """Every file system that holds data, in the order of freezing: last mounted first, the root last.

    ``excluded`` are mount points that somebody wants to be left alone, ``loops`` the devices (major:minor)
    that rest on a loop device. File systems of the kernel itself (proc, tmpfs …) hold nothing and do not
    appear.
    """
    left_alone = set(excluded)
    by_device: Dict[str, List[Mount]] = {}
    for mount in mounts:
        if _holds_data(mount):
            by_device.setdefault(mount.device, []).append(mount)
    candidates = [Candidate(same, _why_not(same, left_alone, loops)) for same in by_device.values()]
    candidates.reverse()
    return sorted(candidates, key=lambda each: any(m.point == "/" and not m.root for m in each.mounts))


def _holds_data(mount: Mount) -> bool:
    return (
        not mount.device.startswith("0:")
        or mount.type in LOCAL_WITHOUT_DEVICE
        or mount.type in NETWORK
        or mount.type in STACKED
        or _is_fuse(mount)
    )


def _is_fuse(mount: Mount) -> bool:
    return mount.type in ("fuse", "fuseblk") or mount.type.startswith("fuse.")


def _why_not(mounts: List[Mount], excluded: Set[str], loops: Set[str]) -> Optional[str]:
    first = mounts[0]
    if first.type in NETWORK:
        return Reason.NETWORK
    if _is_fuse(first):
        return Reason.FUSE
    if first.type in STACKED:
        return Reason.STACKED
    if first.read_only:
        return Reason.READ_ONLY
    if any(mount.point in excluded for mount in mounts):
        return Reason.EXCLUDED
    if first.device in loops:
        return Reason.LOOP
    return None


def on_loop_devices(mounts: Iterable[Mount], sys: str = "/sys") -> Set[str]:
    """The devices of these mounts that are loop devices, or rest on one (LVM, encryption)."""
    return {mount.device for mount in mounts if _is_on_loop(mount.device, sys)}


def _is_on_loop(device: str, sys: str) -> bool:
    if device.split(":")[0] == _LOOP_MAJOR:
        return True
    slaves = os.path.join(sys, "dev/block", device, "slaves")
    try:
        names = os.listdir(slaves)
    except OSError:  # no block device at all, or one without parts
        return False
    for name in names:
        with open(os.path.join(slaves, name, "dev")) as file:
            if _is_on_loop(file.read().strip(), sys):
                return True
    return False


def open_mount(candidate: Candidate) -> Optional[int]:
    """A descriptor of the file system itself; null when every mount of it is hidden below another one.

    Raises OSError when no mount point can be opened.
    """
    failure: Optional[OSError] = None
    for mount in candidate.mounts:
        try:
            descriptor = os.open(mount.root + mount.point, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            failure = error
            continue
        if _mount_id(descriptor) == mount.id:
            return descriptor
        os.close(descriptor)
        failure = None
    if failure is not None:
        raise failure
    return None


def _mount_id(descriptor: int) -> int:
    with open("/proc/self/fdinfo/{}".format(descriptor)) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))
