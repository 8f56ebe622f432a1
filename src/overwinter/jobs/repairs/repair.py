"""What a repair is: when there is something to mend, what is done, whom that touches, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass

from overwinter.catalog import policies
from overwinter.jobs.runtime import Runtime
from overwinter.model.policy import PolicyContent
from overwinter.model.protection import ProtectedItem


@dataclass(frozen=True)
class Case:
    """A VM to look after; ``check`` raises JobCancelled when a person asked to stop."""

    runtime: Runtime
    item: ProtectedItem
    check: Callable[[], None]

    def policy(self) -> PolicyContent:
        """What the policy of the item says."""
        with self.runtime.catalog.transaction() as tx:
            return policies.get_by_id(tx, self.item.policy_id).content


@dataclass(frozen=True)
class Repair:
    """One thing that can be mended; its id is that of the code book's remedies.

    ``finding`` says what is wrong, in a sentence; null when nothing is, or when it cannot be mended now. It
    is asked again after ``act``: that is the check that it worked. ``action`` says what is done, ``touches``
    what people notice of it. ``needs_agent``: without a guest agent that answers there is no way to do it.
    ``unasked``: safe enough to be done after a failed backup with nobody looking on.
    """

    id: str
    action: str
    touches: str
    finding: Callable[[Case], str | None]
    act: Callable[[Case], None]
    needs_agent: bool = False
    unasked: bool = True


@dataclass(frozen=True)
class Finding:
    """Something that can be mended, before it is."""

    repair: str
    finding: str
    action: str
    touches: str


@dataclass(frozen=True)
class Mended:
    """What a repair found and did, and why it did not work; null when it did."""

    repair: str
    finding: str
    action: str
    failure: str | None
