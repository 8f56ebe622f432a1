"""The support bundle of a real VM: secrets are planted wherever they can be, and every byte is searched."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import uuid4
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest

from overwinter.api.state import StateDirectory
from overwinter.catalog import jobs as job_table
from overwinter.catalog import vaults
from overwinter.doctor.bundle import guest as in_guest
from overwinter.doctor.bundle.bundle import FILE_LIMITS_S, write_bundle
from overwinter.doctor.collect import LIMITS_S
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs.runtime import Runtime
from overwinter.model.job import Job, JobError, JobOperation, JobStatus
from overwinter.model.protection import KeyKind, ProtectedItem
from overwinter.model.redaction import MARK
from testkit.disks import DiskSpec
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt

#: Each is planted in places of its own; the service knows those of the first group by value.
KNOWN = {
    "passphrase": "correct horse/battery+staple",
    "database": 'pg&"Secret7/x',
    "s3": "s3Secret/Key+9876543210abcdefghijklmnopq",
    "s3 id": "AKIAQ7EXAMPLE3PLANTE",
    "sas": "sv=2026-01-01&sp=rw&sig=Sas%2BSig%2FPlanted12345678%3D",
    "display": "vnc5ecr3",
    "libvirt": "luks-passphrase-in-libvirt",
}
UNKNOWN = {
    "bearer": "Tq8ZpW4rX2mK9vB6nJ3h",
    "proxy": "Pr0xyPlantedPassw",
    "setting": "Guest Conf Planted 1",
    "signature": "UnknownSig0123456789abc",
    "private key": "MIIEPlantedPrivateKeyBody0123456789",
    "error": "J0bErrorUrlPassw0rd",
    "environment": "EnvOfQemuPlanted77",
}


#: What stands before a secret in what is encoded together, as in proofs of who asks: of every length.
_USERS = (b"", b"use:", b"user:", b"user1:")


@dataclass(frozen=True)
class Planted:
    """A VM with secrets everywhere, and all of them by name."""

    runtime: Runtime
    guest: TinyGuest
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def guest(station: Station) -> Iterator[TinyGuest]:
    made = station.ground.guests.make("bundled", [DiskSpec(size=32 << 20)])
    yield made
    station.ground.guests.remove(made)


@pytest.fixture(scope="module")
def planted(station: Station, guest: TinyGuest, item: ProtectedItem) -> Iterator[Planted]:
    """Secrets in every place where the service, libvirt, QEMU and the guest could have them."""
    settings = station.service.runtime.settings
    password = quote(KNOWN["database"], safe="")
    address = f"postgresql://overwinter:{password}@db.example/catalog"
    runtime = replace(station.service.runtime, settings=replace(settings, database=address))
    secrets = {
        **KNOWN,
        **UNKNOWN,
        "token": StateDirectory(settings.directory).ensure_token(),
        "key file": Path(station.vault.key_reference).read_text().strip(),
    }
    _plant_vault(station)
    _plant_display(guest)
    secret = guest.domain.connect().secretDefineXML("<secret><description>planted</description></secret>")
    try:
        secret.setValue(KNOWN["libvirt"].encode())
        _plant_jobs(runtime, item, secrets)
        _plant_logs(runtime, guest, secrets)
        _plant_in_guest(guest, secrets)
        yield Planted(runtime, guest, secrets)
    finally:
        secret.undefine()


def _plant_vault(station: Station) -> None:
    """A vault of the catalog in an object store, with a passphrase; nobody opens it."""
    place = station.directory / "private"
    place.mkdir(mode=0o700)
    credentials, passphrase = place / "credentials", place / "passphrase"
    for file in (credentials, passphrase):
        file.touch(mode=0o600)
    credentials.write_text(
        f"AWS_ACCESS_KEY_ID={KNOWN['s3 id']}\nAWS_SECRET_ACCESS_KEY={KNOWN['s3']}\n"
        f"AZURE_STORAGE_SAS_TOKEN={KNOWN['sas']}\n"
    )
    passphrase.write_text(KNOWN["passphrase"] + "\n")
    vault = replace(
        station.vault,
        id=uuid4(),
        name="remote",
        url=f"s3://bucket/prefix?credentials={credentials}",
        key_kind=KeyKind.PASSPHRASE,
        key_reference=f"passphrase:{passphrase}",
    )
    with station.service.runtime.catalog.transaction() as tx:
        vaults.insert(tx, vault)


def _plant_display(guest: TinyGuest) -> None:
    """A display with a password, and a variable of QEMU, in the definition for the next start."""
    root = ElementTree.fromstring(guest.domain.XMLDesc())
    display = {"type": "vnc", "port": "-1", "autoport": "yes", "passwd": KNOWN["display"]}
    devices = root.find("devices")
    assert devices is not None
    ElementTree.SubElement(devices, "graphics", display)
    namespace = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    variable = {"name": "PLANTED", "value": UNKNOWN["environment"]}
    ElementTree.SubElement(
        ElementTree.SubElement(root, f"{namespace}commandline"), f"{namespace}env", variable
    )
    guest.domain.connect().defineXML(ElementTree.tostring(root, encoding="unicode"))


def _plant_jobs(runtime: Runtime, item: ProtectedItem, secrets: dict[str, str]) -> None:
    words = (
        f"GET https://backup:{secrets['error']}@store.example/x?sig={secrets['signature']} was refused, kept"
    )
    job = Job.of_item(item, JobOperation.RESTORE, started=datetime.now(UTC), parameters={"asked": words})
    known = [value for name, value in secrets.items() if name not in UNKNOWN]
    everything = {"said": [words, *known], "password": secrets["setting"]}
    with runtime.catalog.transaction() as tx:
        job_table.insert(tx, job)
        job_table.finish(
            tx,
            job.id,
            status=JobStatus.FAILED,
            ended=job.started + timedelta(seconds=1),
            errors=[JobError("BackUpOperationFailed", words)],
            properties={"target": words},
        )
        job_table.set_report(tx, job.id, everything)


def log_of(secrets: dict[str, str]) -> str:
    """Lines as programs write them, with every secret; those the service knows in every form."""
    lines = [
        "kept: the first line",
        f"kept: connecting to https://user:{secrets['error']}@store.example/",
        f"> Authorization: Bearer {secrets['bearer']}",
        f"proxy backup:{secrets['proxy']}@proxy.example:3128",
        f"db_password = {secrets['setting']}",
        f"GET /c?sv=1&sig={secrets['signature']}&se=2",
        f"-----BEGIN PRIVATE KEY-----\n{secrets['private key']}\n-----END PRIVATE KEY-----",
    ]
    known = [value for name, value in secrets.items() if name not in UNKNOWN]
    lines += [f"seen {written} there" for value in known for written in forms(value)]
    return "\n".join([*lines, "kept: the last line", ""])


def _plant_logs(runtime: Runtime, guest: TinyGuest, secrets: dict[str, str]) -> None:
    file = runtime.settings.log_file
    file.parent.mkdir()
    # Longer than what is taken along, so that it is cut.
    filler = f"a long time ago {secrets['token']}\n" * 60_000
    file.write_text(f"{filler}{log_of(secrets)}")
    with Path(f"/var/log/libvirt/qemu/{guest.name}.log").open("a") as log:
        log.write(log_of(secrets))


def _plant_in_guest(guest: TinyGuest, secrets: dict[str, str]) -> None:
    log = base64.b64encode(log_of(secrets).encode() + b"\x1b]0;obeyed\x07\xff\n").decode()
    for at in range(0, len(log), 40_000):
        guest.agent.check(f"echo -n '{log[at : at + 40_000]}' >> /tmp/log")
    for place in (
        "/var/log/qemu-ga.log",
        "/var/log/azure/Overwinter.VMSnapshotLinux/extension.log",
        "/var/lib/overwinter-extension/status/0.status",
        "/etc/qemu/qemu-ga.conf",
        "/etc/azure/vmbackup.conf",
    ):
        guest.agent.check(f"mkdir -p $(dirname {place}); base64 -d /tmp/log > {place}")


def forms(secret: str) -> set[str]:
    """The ways in which a secret may be written."""
    content = secret.encode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        secret.replace("&", "&amp;"),
        content.hex(),
        content.hex().upper(),
        *(base64.b64encode(user + content).decode() for user in _USERS),
        *(base64.urlsafe_b64encode(user + content).decode() for user in _USERS),
    }


def searched(secret: str) -> set[str]:
    """What may be nowhere: all that, and of base64 its middle, which is the secret's alone."""
    coded = {base64.b64encode(user + secret.encode()).decode()[8:-4] for user in _USERS}
    return forms(secret) | {middle for middle in coded if len(middle) >= 8}


@pytest.fixture(scope="module")
def bundle(planted: Planted) -> Iterator[tuple[bytes, dict[str, str]]]:
    """The bytes of the zip, and its files by name."""
    file = io.BytesIO()
    with pytest.MonkeyPatch.context() as patience:
        # What a busy machine does not tell in time is missing, as it should, but not what is asked here.
        for limits in (LIMITS_S, FILE_LIMITS_S):
            for source in limits:
                patience.setitem(limits, source, 300.0)
        patience.setattr(in_guest, "RUN_S", 300.0)
        patience.setattr(in_guest, "READ_S", 300.0)
        write_bundle(planted.runtime, planted.guest.name, file)
    with ZipFile(file) as opened:
        assert opened.testzip() is None
        assert opened.comment == b""
        assert all(info.comment == b"" and info.extra == b"" for info in opened.infolist())
        yield file.getvalue(), {name: opened.read(name).decode() for name in opened.namelist()}


def test_no_planted_secret_is_in_any_byte(planted: Planted, bundle: tuple[bytes, dict[str, str]]) -> None:
    raw, files = bundle
    for name, secret in planted.secrets.items():
        for written in searched(secret):
            assert written.encode() not in raw, name
            for file, text in files.items():
                assert written not in file, name
                assert written not in text, f"{name} in {file}"


def test_everything_else_is_there(planted: Planted, bundle: tuple[bytes, dict[str, str]]) -> None:
    files = bundle[1]
    for name in (
        "host/service.log",
        "host/qemu.log",
        "guest/agent.log",
        "guest/extension.log",
        "guest/extension-status.json",
        "guest/qemu-ga.conf",
        "guest/vmbackup.conf",
    ):
        assert "kept: the first line" in files[name], name
        assert "kept: the last line" in files[name], name
        assert "@store.example/" in files[name], name
    assert len(files["host/service.log"]) <= 2 << 20
    assert files["host/service.log"].startswith("a long time ago")
    assert "\x1b" not in files["guest/agent.log"] and "\\x1b" in files["guest/agent.log"]
    assert "H2.13" in files["report.txt"]
    report = json.loads(files["report.json"])
    assert {"check": "H2.13", "result": "pass"}.items() <= next(
        row for row in report["results"] if row["check"] == "H2.13"
    ).items()
    facts = json.loads(files["facts.json"])
    assert facts["machine"]["value"]["name"] == planted.guest.name
    assert facts["machine"]["source"] == "libvirt"
    settings = json.loads(files["settings.json"])
    assert settings["database"] == f"postgresql://{MARK}@db.example/catalog"
    protection = json.loads(files["protection.json"])
    assert protection["policy"]["properties"]["backupManagementType"] == "AzureIaasVM"
    assert protection["vault"]["name"] == "vault1"
    newest, *others = json.loads(files["jobs.json"])
    assert newest["errors"][0]["message"].endswith("was refused, kept")
    assert newest["report"]["password"] == MARK
    assert [job["operation"] for job in others] == ["Backup", "ConfigureBackup"]
    assert others[0]["tasks"][0]["name"] == "Take Snapshot"
    definition = ElementTree.fromstring(files["vm/definition.xml"])
    display = definition.find("./devices/graphics")
    assert display is not None and display.attrib["passwd"] == MARK
    assert ElementTree.fromstring(files["vm/running.xml"]).findtext("name") == planted.guest.name
    assert json.loads(files["versions.json"])["overwinter"]
    assert json.loads(files["vm/versions.json"])["qemu"][0].isdigit()


def test_the_readme_tells_of_every_file(bundle: tuple[bytes, dict[str, str]]) -> None:
    files = bundle[1]
    readme = files["README.txt"]
    there, _, missing = readme.partition("Not there\n")
    assert all(f"\n{name}\n" in there for name in files.keys() - {"README.txt"})
    assert "\nguest/qemu-ga.sysconfig\n" in missing and "No such file" in missing
    assert "nothing was taken out" in there and "secrets taken out: " in there
    assert "could not be read" not in there


def test_what_cannot_be_had_is_told(planted: Planted) -> None:
    nowhere = Hypervisor("qemu+unix:///system?socket=/nonexistent")
    lost = replace(planted.runtime, hypervisor=nowhere)
    (lost.settings.directory / "keys" / "unreadable").mkdir()
    file = io.BytesIO()
    try:
        write_bundle(lost, planted.guest.name, file)
    finally:
        (lost.settings.directory / "keys" / "unreadable").rmdir()
    with ZipFile(file) as opened:
        readme = opened.read("README.txt").decode()
        names = opened.namelist()
        assert planted.secrets["token"] not in opened.read("host/service.log").decode()
    gaps, _, missing = readme.partition("Files\n")
    assert "Passwords of displays: " in gaps and "File keys/unreadable: It cannot be read" in gaps
    assert "\nvm/definition.xml\n" in missing and "\nguest/agent.log\n" in missing
    assert {"jobs.json", "protection.json", "host/service.log", "facts.json"} <= set(names)
    assert not [name for name in names if name.startswith("guest/")]
