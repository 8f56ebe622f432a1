"""Real image files for tests, made and changed by QEMU's own tools, and what a guest must read from them."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from overwinter.images.frozen import FrozenDisk
from overwinter.model.vm import ImageLayer

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
CLUSTER = 64 * KIB


@dataclass(frozen=True)
class Change:
    """One thing a guest does to its disk. A discard covers whole 64 KiB clusters; they read as zeros then."""

    kind: str  # write, zero, discard
    offset: int
    length: int
    byte: int = 0

    def command(self) -> str:
        if self.kind == "write":
            return f"write -q -P {self.byte} {self.offset} {self.length}"
        return f"{'write -q -z' if self.kind == 'zero' else 'discard -q'} {self.offset} {self.length}"

    def apply(self, content: bytearray) -> None:
        byte = self.byte if self.kind == "write" else 0
        content[self.offset : self.offset + self.length] = bytes([byte]) * self.length


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def change(layer: ImageLayer, *changes: Change) -> None:
    """Do ``changes`` to the top of a chain."""
    commands = [argument for each in changes for argument in ("-c", each.command())]
    if commands:
        run("qemu-io", "-f", layer.format, *commands, layer.path)


def make_base(path: Path, layer_format: str, size: int, options: str = "") -> ImageLayer:
    if layer_format == "raw":
        path.touch()
        os.truncate(path, size)  # qemu-img would write the first block
    else:
        extra = ["-o", options] if options else []
        run("qemu-img", "create", "-q", "-f", layer_format, *extra, str(path), str(size))
    return ImageLayer(str(path), layer_format)


def make_overlay(path: Path, lower: ImageLayer, size: int | None = None, options: str = "") -> ImageLayer:
    extra = ["-o", options] if options else []
    sizes = [str(size)] if size is not None else []
    backing = ["-F", lower.format, "-b", lower.path]
    run("qemu-img", "create", "-q", "-f", "qcow2", *backing, *extra, str(path), *sizes)
    return ImageLayer(str(path), "qcow2")


@dataclass(frozen=True)
class LayerPlan:
    """How one layer is made: its size, its qcow2 options, what is written to it."""

    size: int
    options: str
    changes: tuple[Change, ...]


def changes_within(size: int) -> st.SearchStrategy[Change]:
    def sectors(kind: str) -> st.SearchStrategy[Change]:
        return st.builds(
            lambda start, length, byte: Change(
                kind, start * 512, min(length * 512, size - start * 512), byte
            ),
            st.integers(0, size // 512 - 1),
            st.integers(1, 400),
            st.integers(1, 255),
        )

    clusters = size // (64 * KIB)
    discards = st.builds(
        lambda start, length: Change("discard", start * 64 * KIB, min(length, clusters - start) * 64 * KIB),
        st.integers(0, clusters - 1),
        st.integers(1, 6),
    )
    return sectors("write") | sectors("zero") | discards


@st.composite
def layer_plans(draw: st.DrawFn) -> LayerPlan:
    size = draw(st.sampled_from([MIB, MIB + 512, 3 * MIB // 2, 2 * MIB]))
    options = draw(
        st.sampled_from(["cluster_size=4k", "cluster_size=64k", "cluster_size=64k,extended_l2=on"])
    )
    return LayerPlan(size, options, tuple(draw(st.lists(changes_within(size), max_size=5))))


def build(
    directory: Path, base_format: str, plans: Sequence[LayerPlan]
) -> tuple[tuple[ImageLayer, ...], tuple[bytes, ...]]:
    """Make a chain by ``plans`` (base first). Returns layers and each one's view of the disk, top first."""
    layers: list[ImageLayer] = []
    views: list[bytes] = []
    content = bytearray()
    for number, plan in enumerate(plans):
        path = directory / f"layer-{number}"
        if not layers:
            options = plan.options if base_format == "qcow2" else ""
            layers.append(make_base(path, base_format, plan.size, options))
        else:
            layers.append(make_overlay(path, layers[-1], plan.size, plan.options))
        change(layers[-1], *plan.changes)
        content = content[: plan.size] + bytearray(max(0, plan.size - len(content)))
        for each in plan.changes:
            each.apply(content)
        views.append(bytes(content))
    return tuple(reversed(layers)), tuple(reversed(views))


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "the condition did not come true"
        time.sleep(0.01)


@contextmanager
def machine_writing_to(layer: ImageLayer) -> Iterator[None]:
    """QEMU's block layer holding a chain open for writing, as a running machine does."""
    node = f"driver={layer.format},node-name=disk,file.driver=file,file.filename={layer.path}"
    daemon = subprocess.Popen(
        ["qemu-storage-daemon", "--chardev", "stdio,id=c", "--monitor", "chardev=c", "--blockdev", node],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    # A node alone takes no write permission; a writable export does, like a machine's disk.
    assert daemon.stdin and daemon.stdout
    socket = f"{layer.path}.nbd"
    commands = (
        '{"execute":"qmp_capabilities"}'
        '{"execute":"nbd-server-start","arguments":'
        f'{{"addr":{{"type":"unix","data":{{"path":"{socket}"}}}}}}}}'
        '{"execute":"block-export-add","arguments":'
        '{"type":"nbd","id":"e","node-name":"disk","writable":true},"id":"ready"}'
    )
    try:
        daemon.stdin.write(commands.encode())
        daemon.stdin.flush()
        answer = b""
        while b'"ready"' not in answer:
            answer = daemon.stdout.readline()
            assert answer, "qemu-storage-daemon ended"
        assert b"error" not in answer, answer
        yield
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stdin.close()
        daemon.stdout.close()
        Path(socket).unlink(missing_ok=True)


def servers_of(path: str) -> list[int]:
    """Process ids of the qemu-nbd that serve ``path``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words.startswith(b"qemu-nbd") and path.encode() in words and state != "Z":
            found.append(int(entry.name))
    return found


def read(disk: FrozenDisk, offset: int, length: int) -> bytes:
    content = bytearray(length)
    disk.read_into(offset, memoryview(content))
    return bytes(content)
