"""One recovery point for people: what it is, what stood still when it was taken, what did not."""

from rich.table import Table

from overwinter.cli.output import facts, size, table
from overwinter.cli.views import PointView
from overwinter.cli.views_freeze import FreezeView


def point_lines(point: PointView) -> list[Table | str]:
    """What ``point show`` prints."""
    frozen = point.freeze
    lines: list[Table | str] = [
        facts(
            point=point.id,
            vm=point.vm,
            vault=point.vault,
            created=point.created,
            consistency=point.consistency,
            tier=point.tier,
            kept_until=point.expires,
            read=size(point.bytes_read),
            stored=size(point.bytes_stored),
            frozen_by=_by(frozen),
            frozen_for=None if point.freeze_ms is None else f"{point.freeze_ms} ms",
            in_the_guest=None if frozen is None or frozen.guest_ms is None else f"{frozen.guest_ms} ms",
            scripts=_scripts(frozen),
        )
    ]
    if frozen is not None and frozen.frozen:
        rows = [(each.mount_point, each.file_system, each.source) for each in frozen.frozen]
        lines += ["", table("FROZEN", "FILE SYSTEM", "DEVICE", rows=rows)]
    if frozen is not None:
        lines += [f"Not frozen: {sentence}." for sentence in frozen.skipped]
        if frozen.unlisted:
            lines.append(f"{frozen.unlisted} more mounts are not listed.")
    return lines + [f"Warning: {warning}" for warning in point.warnings]


def _by(frozen: FreezeView | None) -> str | None:
    if frozen is None:
        return None
    if frozen.method == "extension":
        return f"extension {frozen.extension_version or ''}".strip()
    return f"guest agent ({frozen.reason})" if frozen.reason else "guest agent"


def _scripts(frozen: FreezeView | None) -> str | None:
    if frozen is None or frozen.scripts is None:
        return None
    return "succeeded" if frozen.scripts else "failed"
