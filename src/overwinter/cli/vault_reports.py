"""What was found in a vault, as people read it: verification, repair, statistics."""

from typing import Any

from rich.table import Table

from overwinter.cli.output import Cell, Output, facts, size, table
from overwinter.cli.views import JobView
from overwinter.cli.views_stats import StatsView

#: Characters of the longest bar.
_BAR = 24


def findings(job: JobView) -> list[Table | str]:
    """What a job that verified or repaired found: figures, what is lost, each damage with what it touches."""
    report = job.report
    if report is None:
        return []
    parts: list[Table | str] = []
    if "lost_points" in report:
        parts += _repaired(report)
        report = report["verified"]
    parts.append(
        f"Looked at: {report['objects']} objects, {report['points']} recovery points, "
        f"{report['packs']} packs; {size(report['bytes_read'])} read and compared."
    )
    if not report["damages"]:
        return [
            *parts,
            "Everything that recovery points need is there and whole." if report["is_whole"] else "",
        ]
    rows: list[tuple[Cell, ...]] = []
    for damage in report["damages"]:
        name, reason = damage["object"], damage["reason"]
        for disk in damage["disks"]:
            rows.append(
                (name, disk["vm"], disk["target"], disk["point"] or disk["name"], _where(disk), reason)
            )
        if not damage["disks"]:
            rows.append((name, None, None, None, "nothing needed" if damage["harmless"] else None, reason))
    parts += ["", table("OBJECT", "VM", "DISK", "POINT", "WHERE", "WHAT IS WRONG", rows=rows)]
    more = report["more_damages"] + sum(damage["more_disks"] for damage in report["damages"])
    return [*parts, f"And {more} more."] if more else parts


def _repaired(report: dict[str, Any]) -> list[Table | str]:
    parts: list[Table | str] = [
        f"New index: {report['packs']} packs, {report['blobs']} pieces of data; "
        f"{report['packs_searched']} packs searched, {report['objects_replaced']} objects replaced."
    ]
    lost = [
        (
            point["vm"],
            point["point"] or point["name"],
            "removed" if point["removed"] else "kept",
            point["reason"],
        )
        for point in report["lost_points"]
    ]
    if lost:
        parts += ["", "Lost recovery points:", table("VM", "POINT", "NOW", "WHY", rows=lost), ""]
    return parts


def _where(disk: dict[str, Any]) -> str:
    ranges = disk["ranges"]
    first = f" from byte {ranges[0]['offset']}" if ranges else ""
    pieces = len(ranges) + disk["more_ranges"]
    return f"{size(disk['bytes'])}{first}" + (f", {pieces} places" if pieces > 1 else "")


def show_stats(output: Output, stats: StatsView, *, with_points: bool) -> None:
    """Totals, then VMs with what each costs, then points if wanted, then the trend."""
    names = {vm.uuid: vm.vm for vm in stats.vms}
    most = max((vm.own for vm in stats.vms), default=0)
    vms = [
        (vm.vm, vm.points, size(vm.logical), size(vm.content), size(vm.own), _bar(vm.own, most))
        for vm in stats.vms
    ]
    points = [
        (
            point.id or point.name,
            names.get(point.vm_uuid),
            point.created,
            size(point.content),
            size(point.new),
            size(point.own),
            "deleted" if point.deleted else None,
        )
        for point in stats.points
    ]
    kinds = [(kind.kind, kind.objects, size(kind.bytes)) for kind in stats.objects]
    parts: list[Table | str] = [
        facts(
            disks_of_all_points=size(stats.logical),
            data_in_them=size(stats.content),
            without_duplicates=size(stats.unique),
            stored=size(stats.stored),
            of_that_waste=size(stats.waste),
            room_left=None if stats.free is None else size(stats.free),
        ),
        "",
        table("VM", "POINTS", "DISKS", "DATA", "ONLY ITS OWN", "", rows=vms),
    ]
    if with_points:
        headings = ("POINT", "VM", "CREATED", "DATA", "NEW THEN", "ONLY ITS OWN", "")
        parts += ["", table(*headings, rows=points, whole="POINT")]
    parts += ["", table("OBJECTS", "NUMBER", "BYTES", rows=kinds), "", _growth(stats)]
    output.show(stats, *parts)


def _growth(stats: StatsView) -> str:
    growth = stats.growth
    if growth is None:
        return "Growth: not known yet; it takes three recovery points after the first of a VM."
    text = f"Growth: {size(round(growth.bytes_per_day))} a day, by {growth.points} recovery points."
    return text if growth.full is None else f"{text} Full about {growth.full:%Y-%m-%d} at this rate."


def _bar(value: int, most: int) -> str:
    return "█" * (round(_BAR * value / most) if most else 0)
