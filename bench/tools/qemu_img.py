"""``qemu-img convert``: no backup program, but the speed of a plain copy that knows the format."""

from collections.abc import Iterator

from bench.rows import Row
from bench.scene import Scene
from bench.tools.base import Tool, words_of


class QemuImg(Tool):
    """A full copy into a new qcow2, and back."""

    name = "qemu-img"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        return {
            "version": words_of("qemu-img", "--version"),
            "settings": "convert -f qcow2 -O qcow2",
            "not_measured": "unchanged and changed1: qemu-img keeps no history",
        }

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        copy, restored = scene.directory / "copy.qcow2", scene.directory / "restored.qcow2"
        convert = ["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2"]
        done = scene.measure([*convert, scene.image.path, copy], reads=scene.image.path)
        grown = copy.stat().st_size
        yield scene.row(self.name, "first", done, bytes_read=done.rchar, bytes_stored=grown)
        done = scene.measure([*convert, copy, restored], reads=copy)
        yield scene.row(self.name, "restore", done, bytes_read=done.rchar)
        scene.check_restored(restored, "qcow2", scene.image.path)
