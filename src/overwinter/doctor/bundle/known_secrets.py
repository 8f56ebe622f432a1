"""The secrets that a service knows: in its files, its settings, its environment, and in libvirt.

They are gathered to be looked for in what leaves the host, and for nothing else.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from overwinter.catalog import vaults
from overwinter.doctor.asking import Asking
from overwinter.doctor.collect import LIMITS_S
from overwinter.doctor.fact import Known, NotKnown, Source
from overwinter.hypervisor import secrets as libvirt_secrets
from overwinter.hypervisor import shown
from overwinter.jobs.runtime import Runtime
from overwinter.model.protection import Vault
from overwinter.vault import secret_values

#: Files of the state directory that hold a secret (docs/architecture.md, "Where state lies").
_FILES = ("token", "keys/*", "tls/*.key")

#: Larger files hold something else.
_MOST_BYTES = 64 * 1024

#: Characters of a line of a private key that is worth looking for; the last line may be short.
_KEY_LINE = 16

#: What the database's own client takes from the environment and from the URL.
_DATABASE_VARIABLES = ("PGPASSWORD", "PGSSLPASSWORD")
_DATABASE_SETTINGS = ("password", "sslpassword")

T = TypeVar("T")


@dataclass(frozen=True)
class KnownSecrets:
    """The values, and a sentence for each place that could not tell them."""

    values: frozenset[bytes]
    gaps: tuple[str, ...]


def known_secrets(runtime: Runtime) -> KnownSecrets:
    """Gather them; bounded in time. Raises InternalError."""
    gathering = _Gathering(runtime)
    settings, hypervisor = runtime.settings, runtime.hypervisor
    gathering.add("The environment", Source.HOST, _environment)
    gathering.add("The address of the database", Source.HOST, lambda: _database(settings.database))
    for path in sorted(path for pattern in _FILES for path in settings.directory.glob(pattern)):
        gathering.add(f"File {path.relative_to(settings.directory)}", Source.HOST, partial(_file, path))
    gathering.add("Passwords of displays", Source.LIBVIRT, lambda: shown.passwords(hypervisor))
    gathering.add("Secrets of libvirt", Source.LIBVIRT, lambda: libvirt_secrets.every_value(hypervisor))
    for vault in gathering.ask("The list of the vaults", Source.CATALOG, lambda: _vaults(runtime)):
        key, url = vault.key_reference, vault.url
        gathering.add(f"The key of vault {vault.name}", Source.HOST, partial(secret_values.of_key, key))
        gathering.add(
            f"The credentials of vault {vault.name}", Source.HOST, partial(secret_values.of_storage, url)
        )
    return KnownSecrets(frozenset(gathering.values), tuple(gathering.gaps))


class _Gathering:
    """Asks one place after the other; what one cannot tell is a gap."""

    def __init__(self, runtime: Runtime) -> None:
        self._clock = runtime.clock
        self.values: set[bytes] = set()
        self.gaps: list[str] = []

    def add(self, place: str, source: Source, question: Callable[[], Iterable[bytes]]) -> None:
        self.values.update(self.ask(place, source, question))

    def ask(self, place: str, source: Source, question: Callable[[], Iterable[T]]) -> tuple[T, ...]:
        fact = Asking(source, lambda: tuple(question()), timeout_s=LIMITS_S[source], clock=self._clock).fact()
        if isinstance(fact, Known):
            return fact.value
        self.gaps.append(f"{place}: {fact.reason}")
        return ()


def _vaults(runtime: Runtime) -> list[Vault]:
    with runtime.catalog.transaction() as tx:
        return vaults.every(tx)


def _environment() -> Iterator[bytes]:
    yield from secret_values.of_environment()
    yield from (os.environ[name].encode() for name in _DATABASE_VARIABLES if name in os.environ)


def _database(url: str | None) -> Iterator[bytes]:
    """Its passwords, as they stand in the URL and as they are meant."""
    parts = urlsplit(url or "")
    settings = (value for name, value in parse_qsl(parts.query) if name in _DATABASE_SETTINGS)
    for value in (parts.password or "", *settings):
        yield from (value.encode(), unquote(value).encode())


def _file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode(errors="backslashreplace").strip()
    except OSError as error:
        raise NotKnown(f"It cannot be read: {error.strerror}.") from error
    yield from _key_lines(text) if "PRIVATE KEY" in text else secret_values.in_text(text)


def _key_lines(text: str) -> Iterator[bytes]:
    """A private key line by line: whoever quotes it may have put anything between."""
    for line in text.splitlines():
        if not line.startswith("-----") and len(line) >= _KEY_LINE:
            yield line.encode()
