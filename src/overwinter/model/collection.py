"""Where a VM's restore points go: which collection, named how, in which of the service's resource groups.

Names and numbers are those of the reference articles: collection ``AzureBackupRG_<VM>_<n>`` in the group
``AzureBackupRG_<location>_<n>``, or ``<prefix><n><suffix>`` where the policy names the groups.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from overwinter.model import names
from overwinter.model.point import RestorePointCollection
from overwinter.model.policy import PolicyContent

#: A group takes so many collections; then the next number begins (reference articles).
COLLECTIONS_PER_GROUP = 600


@dataclass(frozen=True)
class GroupNaming:
    """How the groups of restore point collections are named: ``<prefix><number><suffix>``."""

    prefix: str
    suffix: str = ""

    def group(self, number: int) -> str:
        """The group of that number, from 1."""
        return f"{self.prefix}{number}{self.suffix}"

    def names(self, group: str) -> bool:
        """Whether a group is one of these."""
        pattern = re.escape(self.prefix) + r"[1-9][0-9]*" + re.escape(self.suffix)
        return re.fullmatch(pattern, group, re.IGNORECASE) is not None


def group_naming(policy: PolicyContent, location: str) -> GroupNaming:
    """The naming that a policy asks for, else the service's own."""
    if not policy.group_prefix:
        return GroupNaming(f"{names.SERVICE_PREFIX}{location}_")
    return GroupNaming(policy.group_prefix, policy.group_suffix or "")


def collection_for(
    vm_uuid: UUID,
    vm_name: str,
    naming: GroupNaming,
    existing: Sequence[RestorePointCollection],
    new_id: UUID,
) -> RestorePointCollection:
    """The collection that a VM's next restore point goes into: one of ``existing``, or a new one.

    The VM's newest collection in a group of that naming; when it has none (first point, or the policy names
    other groups now), one with the next number. Old points stay where they are.
    """
    own = [collection for collection in existing if collection.vm_uuid == vm_uuid]
    suitable = [collection for collection in own if naming.names(collection.resource_group)]
    if suitable:
        return max(suitable, key=lambda collection: collection.number)
    # A VM of the same name, removed or on its way, may have left collections too.
    stem = names.collection_name(vm_name, 0)[:-1].casefold()
    used = [c.number for c in existing if c.vm_uuid == vm_uuid or c.stem.casefold() == stem]
    return RestorePointCollection(
        id=new_id,
        name=names.collection_name(vm_name, max(used, default=0) + 1),
        resource_group=_group_with_room(naming, existing),
        vm_uuid=vm_uuid,
    )


def _group_with_room(naming: GroupNaming, existing: Sequence[RestorePointCollection]) -> str:
    filled = Counter(collection.resource_group.casefold() for collection in existing)
    number = 1
    while filled[naming.group(number).casefold()] >= COLLECTIONS_PER_GROUP:
        number += 1
    return naming.group(number)
