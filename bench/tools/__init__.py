"""The tools of the comparison, one module each."""

from bench.tools.base import DeduplicatingTool, Tool
from bench.tools.borg import Borg
from bench.tools.overwinter import Overwinter
from bench.tools.qemu_img import QemuImg
from bench.tools.restic import Restic
from bench.tools.virtnbdbackup import Virtnbdbackup

#: In the order in which they take their turns.
TOOLS: tuple[Tool, ...] = (Overwinter(), Restic(), Borg(), Virtnbdbackup(), QemuImg())

__all__ = ["TOOLS", "DeduplicatingTool", "Tool"]
