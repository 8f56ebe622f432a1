"""What was done to a disk, and every state in which a crash may leave it by what POSIX promises.

POSIX promises only what was synced. Of everything else, each write may be there, be lost, or be torn, and
each name given or taken in a directory may have happened or not, whatever happened to the others. File
systems with a journal do better; what holds here holds there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

#: The number of the top directory.
TOP = 0


@dataclass(frozen=True)
class Tree:
    """All that lies on a disk: directories by path, and the content of files by path."""

    directories: frozenset[str]
    files: dict[str, bytes]

    @property
    def identity(self) -> int:
        """Equal for equal trees; as good as unique within one run of the program."""
        return hash((self.directories, frozenset(self.files.items())))


@dataclass(frozen=True)
class Written:
    """Bytes put into a file at an offset."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Synced:
    """A file's content made durable."""

    file: int


@dataclass(frozen=True)
class Named:
    """A name given to a node in a directory, or taken away where ``node`` is null."""

    directory: int
    name: str
    node: int | None


@dataclass(frozen=True)
class DirectorySynced:
    """The names in a directory made durable."""

    directory: int


Operation = Written | Synced | Named | DirectorySynced


@dataclass
class Nodes:
    """Content of files and names in directories, both by number."""

    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {TOP: {}})

    def apply(self, operation: Operation) -> None:
        """Carry out a change; one that builds on a change that was lost does what is left of it."""
        match operation:
            case Written(file, offset, data):
                content = self.contents[file].ljust(offset, b"\0")
                self.contents[file] = content[:offset] + data + content[offset + len(data) :]
            case Named(directory, name, node):
                if node is None:
                    self.names[directory].pop(name, None)
                else:
                    self.names[directory][name] = node

    def copy(self) -> "Nodes":
        """An independent copy."""
        return Nodes(dict(self.contents), {node: dict(names) for node, names in self.names.items()})

    def tree(self) -> Tree:
        """What can be reached from the top."""
        directories: set[str] = set()
        files: dict[str, bytes] = {}

        def walk(node: int, path: str) -> None:
            directories.add(path)
            for name, child in self.names[node].items():
                if child in self.names:
                    walk(child, f"{path}/{name}")
                else:
                    files[f"{path}/{name}"] = self.contents[child]

        walk(TOP, "")
        return Tree(frozenset(directories), files)


def crash_states(
    begin: Nodes, history: Sequence[Operation], random: Random, mixtures: int, first: int = 0
) -> Iterator[tuple[int, Tree]]:
    """What may be found after a crash, for each place of the history from ``first``.

    Gives how many operations had been carried out, with the tree: nothing of what was not synced, all of it,
    and ``mixtures`` random choices. ``begin`` knows all nodes of the history and is all durable. The same
    tree may come several times.
    """
    durable = begin.copy()
    pending: list[Operation] = []
    for done in range(len(history) + 1):
        if done:
            pending = _after(durable, pending, history[done - 1])
        if done < first:
            continue
        yield done, durable.tree()
        if pending:
            yield done, _survived(durable, pending)
            for _ in range(mixtures):
                yield done, _survived(durable, _mixture(pending, random))


def _after(durable: Nodes, pending: list[Operation], operation: Operation) -> list[Operation]:
    """Move to ``durable`` what an operation makes so; gives what is pending then."""
    if isinstance(operation, Written | Named):
        return [*pending, operation]
    left: list[Operation] = []
    for effect in pending:
        match operation, effect:
            case (Synced(synced), Written(changed)) | (DirectorySynced(synced), Named(changed)) if (
                synced == changed
            ):
                durable.apply(effect)
            case _:
                left.append(effect)
    return left


def _survived(durable: Nodes, kept: Sequence[Operation]) -> Tree:
    nodes = durable.copy()
    for effect in kept:
        nodes.apply(effect)
    return nodes.tree()


def _mixture(pending: Sequence[Operation], random: Random) -> list[Operation]:
    """A random part of the effects, torn writes among them."""
    likely = random.random()
    kept: list[Operation] = []
    for effect in pending:
        if random.random() > likely:
            continue
        if isinstance(effect, Written) and random.random() < 0.5:
            effect = _torn(effect, random)
        kept.append(effect)
    return kept


def _torn(write: Written, random: Random) -> Written:
    """A write of which only a beginning came, with nothing or zeros after it."""
    came = write.data[: random.randrange(len(write.data))]
    if random.random() < 0.5:
        came = came.ljust(len(write.data), b"\0")
    return Written(write.file, write.offset, came)
