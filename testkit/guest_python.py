"""The tiny guest with Python: a second RAM disk that the kernel unpacks over the first.

Python's minimal packages, compiled as on an installed system, and the modules of loop devices and overlay
file systems. Built once per set of inputs into the cache; nothing is installed on the host.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from testkit.guest import CACHE_DIRECTORY, GuestImage, add_libraries, depended_on, download, guest_image, pack

PYTHON_META_PACKAGE = "python3-minimal"

#: Parts of the standard library that no program in the guest needs; they are most of its size.
LEFT_OUT = (
    *(
        "asyncio",
        "config-*",
        "curses",
        "distutils",
        "ensurepip",
        "html",
        "idlelib",
        "lib2to3",
        "multiprocessing",
    ),
    *("pydoc_data", "sqlite3", "test", "tkinter", "unittest", "venv", "wsgiref", "xml", "xmlrpc"),
)

#: Modules in C that need no more than the C library and libffi.
SHARED_MODULES = ("_ctypes", "_json", "_typing", "mmap", "resource", "termios")

#: Inserted by the tests that want them: ``insmod /lib/modules/loop.ko``.
KERNEL_MODULES = ("loop", "overlay")


def guest_image_with_python(cache: Path = CACHE_DIRECTORY) -> GuestImage:
    """Boot files of the guest with Python, built if the cache has none; callers may be many."""
    plain = guest_image(cache)
    inputs = hashlib.sha256(Path(__file__).read_bytes() + plain.initrd.parent.name.encode())
    directory = cache / f"python-{inputs.hexdigest()[:16]}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                built = Path(scratch) / "image"
                built.mkdir()
                _build(Path(scratch), plain, built / "initrd")
                built.rename(directory)
    return GuestImage(plain.kernel, directory / "initrd")


def _build(scratch: Path, plain: GuestImage, initrd: Path) -> None:
    name = depended_on(PYTHON_META_PACKAGE, r"python3\.\d+-minimal")
    python = name.removesuffix("-minimal")
    packages = scratch / "packages"
    kernel = depended_on("linux-image-cloud-amd64", r"linux-image-\d[\w.+-]*")
    download([name, f"lib{name}", f"lib{python}-stdlib", kernel], packages)
    root = scratch / "root"
    library = root / "usr/lib" / python
    shutil.copytree(packages / "usr/lib" / python, library, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for module in (library / "lib-dynload").iterdir():
        if module.name.partition(".")[0] in SHARED_MODULES:
            add_libraries(root, module)
        else:
            module.unlink()
    program = root / "usr/bin" / python
    program.parent.mkdir()
    shutil.copy(packages / "usr/bin" / python, program)
    add_libraries(root, program)
    (root / "usr/bin/python3").symlink_to(python)
    _compile(root, python)
    (root / "lib/modules").mkdir(parents=True, exist_ok=True)
    for module_name in KERNEL_MODULES:
        (found,) = (packages / "lib/modules").rglob(f"{module_name}.ko")
        shutil.copy(found, root / "lib/modules")
    pack(root, scratch / "python.cpio")
    with initrd.open("wb") as whole:
        for part in (plain.initrd, scratch / "python.cpio"):
            whole.write(part.read_bytes())


def _compile(root: Path, python: str) -> None:
    """Compile the library by the guest's own Python, never to be compared with its sources again."""
    compileall = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", f"/usr/lib/{python}"]
    subprocess.run(["chroot", str(root), f"/usr/bin/{python}", *compileall], check=True, capture_output=True)
