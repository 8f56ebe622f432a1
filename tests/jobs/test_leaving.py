"""A VM leaves protection while the vault lacks some of its points: they go there first, or the job fails."""

from uuid import uuid4

import pytest

from overwinter.model.job import TRANSFER_DATA, JobStatus
from overwinter.model.point import Tier
from overwinter.model.protection import ProtectionState
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.station import Station

pytestmark = pytest.mark.libvirt


def test_points_that_only_the_host_has_are_brought_into_the_vault(station: Station) -> None:
    disk = DiskSpec("raw", size=32 * MIB, file_system=False)
    guest = station.ground.guests.make(f"leave-{uuid4().hex[:6]}", [disk], start=False)
    image = guest.disks["vda"]
    write_image(image, "raw", [(0, realistic_data(4 * MIB, seed=1))])
    item = station.protect(guest)
    (vault,) = (station.directory / "state" / "vaults").iterdir()
    truths = {}
    vault.rename(vault.with_suffix(".away"))
    for seed in (2, 3):
        job = station.ended(station.service.backup(item, expires=None))
        assert [error.code for error in job.errors] == ["VaultUnavailable"]
        point = station.service.recovery_point(item, str(job.properties["recovery_point"]))
        assert point.tier is Tier.SNAPSHOT
        truths[point.id] = station.truth(guest, "vda")
        write_image(guest.chain("vda")[0], "qcow2", [(seed * MIB, realistic_data(MIB, seed=seed))])

    refused = station.ended(station.service.protection.stop(item))
    assert refused.status is JobStatus.FAILED and refused.errors[0].code == "VaultUnavailable"
    assert station.service.item(station.vault, guest.name).state is ProtectionState.PROTECTED
    assert [point.tier for point in station.service.recovery_points(item)] == [Tier.SNAPSHOT, Tier.SNAPSHOT]
    assert len(guest.chain("vda")) == 3

    vault.with_suffix(".away").rename(vault)
    job = station.completed(station.service.protection.stop(item))
    assert [task.name for task in job.tasks] == [TRANSFER_DATA]
    stopped = station.service.item(station.vault, guest.name)
    assert stopped.state is ProtectionState.STOPPED
    assert guest.chain("vda") == [image]
    kept = station.service.recovery_points(stopped)
    assert [point.id for point in kept] == list(truths) and {point.tier for point in kept} == {Tier.VAULT}
    for point in kept:
        station.check_restore(point, {"vda": truths[point.id]})
