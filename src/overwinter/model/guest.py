"""What the host can tell about the system inside a VM at one moment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GuestView:
    """Answer of a guest, or the reason why there is none.

    ``message`` is a sentence for people: what the agent said, or why it could not be asked. The other
    fields are null where the guest did not say.
    """

    agent_ready: bool
    agent_version: str | None
    os_name: str | None
    os_version: str | None
    hostname: str | None
    message: str
