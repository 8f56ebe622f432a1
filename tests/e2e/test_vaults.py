"""Whole vaults through commands and a real service: attached, verified, repaired, copied, measured; keys."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from overwinter.model.extent import Extent
from overwinter.vault import KeySource, create_vault
from testkit.disks import MIB, DiskSpec, convert, first_difference, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.program import Program
from testkit.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server
from tests.e2e.test_story import refused
from tests.vault.damages import flip, names
from tests.vault.disks import manifest, noise, read_from
from tests.vault.softhsm import MODULE, PIN, new_key, new_token, slots

pytestmark = pytest.mark.libvirt


@pytest.fixture
def program(image_directory: Path) -> Iterator[Program]:
    made = Program(image_directory / "overwinter")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def elsewhere(image_directory: Path) -> Iterator[Program]:
    """A service that has never seen anything."""
    made = Program(image_directory / "elsewhere")
    made.start()
    yield made
    made.stop()


def new_guest(ground: Ground, seed: int = 3) -> TinyGuest:
    spec = DiskSpec("qcow2", size=32 * MIB, file_system=False)
    guest = ground.guests.make(f"vaults-{uuid4().hex[:6]}", [spec], start=False)
    write_image(guest.disks["vda"], "qcow2", [(MIB, realistic_data(4 * MIB, seed=seed))])
    return guest


def backed_up(program: Program, guest: TinyGuest, vault: str = "main") -> str:
    """Back a guest up; the id of the point."""
    assert program.do("backup", guest.name, "--wait")["status"] == "Completed"
    return str(program.do("points", guest.name, "--vault", vault)[0]["id"])


def truth(guest: TinyGuest, directory: Path) -> Path:
    """A raw copy of what the newest point of a guest froze."""
    path = directory / f"truth-{uuid4().hex[:6]}"
    convert(guest.chain("vda")[1], "qcow2", path)
    return path


def check_restore(program: Program, vm: str, point: str, wanted: Path, *words: str) -> None:
    """Restore a point's disk and compare every byte."""
    directory = program.directory / f"restored-{uuid4().hex[:6]}"
    directory.mkdir(mode=0o755)
    program.do("restore", vm, "--point", point, "--disks", str(directory), *words)
    (image,) = directory.glob("*-vda.qcow2")
    raw = directory / "raw"
    convert(image, "qcow2", raw)
    assert first_difference(wanted, raw) is None


def place_of(vault: dict[str, Any]) -> Path:
    return Path(urlsplit(vault["url"]).path)


def test_a_vault_is_attached_where_nobody_has_seen_it(
    program: Program, elsewhere: Program, ground: Ground, image_directory: Path
) -> None:
    guest, other = new_guest(ground), new_guest(ground, seed=4)
    vault = program.do("vault", "create", "main")
    truths = []
    for each in (guest, other):
        program.do("protect", each.name, "--vault", "main")
        backed_up(program, each)
        truths.append(truth(each, image_directory))
    refused(elsewhere, "VaultKeyWrong", "vault", "attach", vault["url"], "--key", "/etc/hostname")
    attached = elsewhere.do("vault", "attach", vault["url"], "--key", vault["key"], "--name", "rescued")
    assert (attached["new_points"], attached["new_vms"]) == (2, 2)
    for each, wanted in zip((guest, other), truths, strict=True):
        (point,) = elsewhere.do("points", each.name)
        assert point["tier"] == "vault"
        check_restore(elsewhere, each.name, point["id"], wanted)
    # Once more brings what was added since, and only that.
    newest = backed_up(program, guest)
    attached = elsewhere.do("vault", "attach", vault["url"], "--key", vault["key"], "--name", "rescued")
    assert (attached["new_points"], attached["new_vms"]) == (1, 1)
    assert elsewhere.do("points", guest.name)[0]["id"] == newest
    refused(elsewhere, "ResourceAlreadyExists", "vault", "attach", vault["url"], "--key", vault["key"])
    moved = place_of(vault).rename(image_directory / "moved")
    words = ("vault", "attach", moved.as_uri(), "--key", vault["key"], "--name", "rescued")
    assert "detach" in refused(elsewhere, "ResourceAlreadyExists", *words)
    before = names(moved)
    elsewhere.do("vault", "detach", "rescued")
    assert elsewhere.do("vault", "list") == []
    assert names(moved) == before
    assert elsewhere.do(*words)["new_points"] == 3


def test_damage_is_told_healed_and_repaired(program: Program, ground: Ground, image_directory: Path) -> None:
    guest = new_guest(ground)
    directory = place_of(program.do("vault", "create", "main"))
    program.do("protect", guest.name, "--vault", "main")
    point = backed_up(program, guest)
    whole = program.do("vault", "verify", "main", "--read-data")
    assert whole["report"]["is_whole"]
    assert whole["report"]["bytes_read"] > MIB
    assert program.do("vault", "verify", "main")["report"]["bytes_read"] == 0

    (pack,) = [name for name in names(directory, "packs/") if (directory / name).stat().st_size > MIB]
    flip(directory, pack, (directory / pack).stat().st_size // 2)
    assert program.do("vault", "verify", "main")["report"]["is_whole"], "data is read only when asked"
    answer = program.run("vault", "verify", "main", "--read-data", "100")
    assert answer.code == 1
    (damage,) = answer.json["report"]["damages"]
    (disk,) = damage["disks"]
    assert damage["object"] == pack
    assert (disk["vm"], disk["target"], disk["point"]) == (guest.name, "vda", point)
    assert MIB <= disk["ranges"][0]["offset"] < 5 * MIB
    assert answer.json["errors"][0]["code"] == "VaultDataCorrupt"
    assert guest.name in answer.json["errors"][0]["message"]
    assert program.run("vault", "verify", "main", "--point", point).code == 1

    backed_up(program, guest)  # the live disk still has it
    assert program.do("vault", "verify", "main", "--read-data")["report"]["is_whole"]

    for name in names(directory, "index/"):
        flip(directory, name, 60)
    assert program.run("vault", "verify", "main").code == 1
    repaired = program.do("vault", "repair", "main")
    assert repaired["report"]["lost_points"] == []
    assert program.do("vault", "verify", "main", "--read-data")["report"]["is_whole"]
    check_restore(program, guest.name, point, truth(guest, image_directory))


def test_points_that_are_lost_are_removed_only_when_asked(program: Program, ground: Ground) -> None:
    guest = new_guest(ground)
    directory = place_of(program.do("vault", "create", "main"))
    program.do("protect", guest.name, "--vault", "main")
    backed_up(program, guest)
    program.do("unprotect", guest.name, "--keep-data")
    (manifest,) = names(directory, "manifests/")
    flip(directory, manifest, 60)
    kept = program.do("vault", "repair", "main")
    assert [point["removed"] for point in kept["report"]["lost_points"]] == [False]
    assert kept["status"] == "CompletedWithWarnings"
    assert guest.name in kept["errors"][0]["message"], "the catalog knows whose it was"
    assert len(program.do("points", guest.name)) == 1
    removed = program.do("vault", "repair", "main", "--remove-lost")
    assert [point["removed"] for point in removed["report"]["lost_points"]] == [True]
    assert program.do("points", guest.name) == [], "what cannot be restored is not offered"


def test_two_vms_of_one_name_are_told_apart(elsewhere: Program, image_directory: Path) -> None:
    """And points that no service has made are taken in, too."""
    directory, key_file = image_directory / "vault", image_directory / "key"
    vault = create_vault(directory.as_uri(), KeySource.new_key_file(key_file), vault_id=uuid4())
    for number in (1, 2):
        with vault.session(str(number)) as session:
            disk = session.store_disk("vda", MIB, [Extent(0, MIB)], read_from(noise(number, MIB)))
            session.commit(replace(manifest(str(number), disk), vm_uuid=UUID(int=number)))
    attached = elsewhere.do("vault", "attach", directory.as_uri(), "--key", str(key_file))
    assert attached["vault"]["name"] == "vault"
    assert sorted(vm["vm"] for vm in elsewhere.do("vault", "stats", "vault")["vms"]) == ["mail", "mail"]
    items = [item["vm"] for item in elsewhere.do("vault", "show", "vault")["items"]]
    assert sorted(items) == ["mail", "mail-00000000"]
    assert [len(elsewhere.do("points", item)) for item in items] == [1, 1]


def test_a_damaged_vault_is_attached_to_be_repaired(
    program: Program, elsewhere: Program, ground: Ground, image_directory: Path
) -> None:
    guest = new_guest(ground)
    vault = program.do("vault", "create", "main")
    program.do("protect", guest.name, "--vault", "main")
    backed_up(program, guest)
    directory = place_of(vault)
    for name in ["config", *names(directory, "index/")]:
        flip(directory, name, 60)
    words = ("vault", "attach", vault["url"], "--key", vault["key"], "--name", "main")
    answer = elsewhere.run(*words)
    assert answer.code == 1 and answer.json["problems"], answer
    elsewhere.do("vault", "repair", "main")
    check_restore(elsewhere, guest.name, "latest", truth(guest, image_directory))
    assert elsewhere.do(*words)["new_points"] == 0, "the repair has taken all in"


def test_points_are_copied_to_a_second_vault_and_survive_the_first(
    program: Program, elsewhere: Program, ground: Ground, image_directory: Path
) -> None:
    guest = new_guest(ground)
    first = program.do("vault", "create", "main")
    second = program.do("vault", "create", "offsite", "--url", (image_directory / "second").as_uri())
    program.do("protect", guest.name, "--vault", "main")
    oldest = backed_up(program, guest)
    wanted = truth(guest, image_directory)
    backed_up(program, guest)
    copied = program.do("vault", "copy", "main", "offsite", "--points", oldest)
    assert copied["properties"]["points_copied"] == 1
    copied = program.do("vault", "copy", "main", "offsite")
    assert (copied["properties"]["points_copied"], copied["properties"]["points_present"]) == (1, 1)
    again = program.do("vault", "copy", "main", "offsite")
    assert again["properties"]["bytes_read"] == 0
    there = program.do("points", guest.name, "--vault", "offsite")
    assert len(there) == 2 and len(program.do("points", guest.name, "--vault", "main")) == 2
    shutil.rmtree(place_of(first))
    check_restore(program, guest.name, there[-1]["id"], wanted, "--vault", "offsite")
    elsewhere.do("vault", "attach", second["url"], "--key", second["key"])
    check_restore(elsewhere, guest.name, "latest", wanted)


@pytest.mark.parametrize("place", [pytest.param("copy.done", marks=pytest.mark.long), "repair.done"])
def test_work_that_is_killed_is_done_again(program: Program, ground: Ground, place: str) -> None:
    guest = new_guest(ground)
    program.do("vault", "create", "main")
    program.do("vault", "create", "other")
    program.do("protect", guest.name, "--vault", "main")
    backed_up(program, guest)
    program.stop()
    program.start(kill_at=place)
    words = ("copy", "main", "other") if place == "copy.done" else ("repair", "main")
    job_id = program.do("vault", *words, "--no-wait")["id"]
    program.wait_killed()
    program.start()
    assert program.ended(job_id)["status"] == "Completed"
    assert len(program.do("points", guest.name, "--vault", "main")) == 1
    if place == "copy.done":
        assert len(program.do("points", guest.name, "--vault", "other")) == 1


def test_keys_are_added_used_and_removed(
    program: Program, elsewhere: Program, ground: Ground, image_directory: Path
) -> None:
    vault = program.do("vault", "create", "main")
    (own,) = program.do("vault", "key", "list", "main")
    assert own["kind"] == "key-file"
    recovery = program.do("vault", "key", "add", "main", "--recovery", "--label", "paper in the safe")
    new_file = image_directory / "second.key"
    program.do("vault", "key", "add", "main", "--new-file", str(new_file))
    kinds = {key["kind"] for key in program.do("vault", "key", "list", "main")}
    assert kinds == {"key-file", "recovery"}
    assert recovery["recovery_key"] not in (program.directory / "service.log").read_text()

    paper = image_directory / "paper"
    paper.touch(mode=0o600)
    paper.write_text(recovery["recovery_key"].lower())
    attached = elsewhere.do("vault", "attach", vault["url"], "--key", f"recovery:{paper}", "--name", "main")
    assert attached["vault"]["key_kind"] == "recovery"

    assert program.run("vault", "key", "remove", "main", own["id"]).code == 1, "the service uses it"
    program.do("vault", "key", "use", "main", str(new_file))
    program.do("vault", "key", "remove", "main", own["id"])
    refused(elsewhere, "VaultKeyWrong", "vault", "key", "use", "main", vault["key"])
    program.stop()
    program.start()
    assert program.do("vault", "verify", "main")["status"] == "Completed"


def test_passphrases_are_typed_and_never_shown(
    program: Program, elsewhere: Program, image_directory: Path
) -> None:
    vault = program.do("vault", "create", "main")
    added = program.run("vault", "key", "add", "main", "--passphrase", typed="correct horse\n")
    assert added.code == 0 and "horse" not in added.output + added.errors
    words = image_directory / "words"
    words.touch(mode=0o600)
    words.write_text("battery staple\n")
    attach = ("vault", "attach", vault["url"], "--key", f"passphrase:{words}", "--name", "main")
    refused(elsewhere, "VaultKeyWrong", *attach)
    key_id = added.json["id"]
    changed = program.run("vault", "key", "change", "main", key_id, typed="battery staple\n")
    assert changed.code == 0 and changed.json["id"] != key_id
    assert elsewhere.do(*attach)["vault"]["key_kind"] == "passphrase"
    words.write_text("correct horse\n")
    refused(elsewhere, "VaultKeyWrong", "vault", "key", "use", "main", f"passphrase:{words}")


def test_a_token_opens_a_vault(image_directory: Path) -> None:
    pin = image_directory / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)
    program = Program(image_directory / "overwinter")
    with slots(image_directory):
        new_token("vault")
        new_key("vault", "overwinter")
        reference = f"pkcs11:token=vault;object=overwinter?module-path={MODULE}&pin-source=file:{pin}"
        program.start()
        try:
            assert program.do("vault", "create", "main", "--key", reference)["key_kind"] == "token"
            program.stop()
            program.start()
            assert program.do("vault", "verify", "main")["status"] == "Completed"
        finally:
            program.stop()


def test_every_verification_of_one_percentage_reads_another_part(program: Program) -> None:
    program.do("vault", "create", "main")
    asked = ["50", "0", "20", "50", "50"]
    jobs = [program.do("vault", "verify", "main", "--read-data", percent) for percent in asked]
    assert [job["parameters"]["turn"] for job in jobs] == [0, 0, 0, 1, 2]


def test_statistics_and_clean_up(program: Program, ground: Ground) -> None:
    guest, other = new_guest(ground), new_guest(ground, seed=5)
    directory = place_of(program.do("vault", "create", "main"))
    for each in (guest, other):
        program.do("protect", each.name, "--vault", "main")
        backed_up(program, each)
    stats = program.do("vault", "stats", "main", "--points")
    assert {vm["vm"]: vm["points"] for vm in stats["vms"]} == {guest.name: 1, other.name: 1}
    assert stats["logical"] == 64 * MIB
    assert 4 * MIB <= stats["content"] <= 10 * MIB
    on_disk = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    assert stats["stored"] <= on_disk and stats["free"] > 0
    assert sorted(point["id"] for point in stats["points"]) == sorted(
        program.do("points", each.name)[0]["id"] for each in (guest, other)
    )
    assert program.do("vault", "clean-up", "main")["properties"]["packs_removed"] == 0


def test_a_vault_in_an_object_store(
    program: Program, elsewhere: Program, ground: Ground, image_directory: Path, s3: S3Server
) -> None:
    credentials = image_directory / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text(f"AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}\n")
    url = f"s3://{s3.new_bucket()}/vault?endpoint={s3.endpoint}&credentials={credentials}"
    guest = new_guest(ground)
    vault = program.do("vault", "create", "far", "--url", url)
    program.do("protect", guest.name, "--vault", "far")
    backed_up(program, guest, "far")
    wanted = truth(guest, image_directory)
    assert program.do("vault", "verify", "far", "--read-data")["report"]["is_whole"]
    elsewhere.do("vault", "attach", url, "--key", vault["key"], "--name", "far")
    check_restore(elsewhere, guest.name, "latest", wanted)


def test_wrong_use_says_what_to_do(program: Program, image_directory: Path) -> None:
    program.do("vault", "create", "main")
    assert program.run("vault", "verify", "main", "--read-data", "101").code == 2
    assert program.run("vault", "key", "add", "main").code == 2
    refused(program, "BadRequest", "vault", "copy", "main", "main")
    refused(program, "ResourceNotFound", "vault", "verify", "main", "--point", "17")
    refused(program, "ResourceNotFound", "vault", "copy", "main", "nowhere")
    refused(program, "ResourceAlreadyExists", "vault", "create", "main", "--url", image_directory.as_uri())
    refused(program, "BadRequest", "vault", "attach", "ftp://x/y", "--key", "/etc/hostname")
