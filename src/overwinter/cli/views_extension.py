"""The extension in a VM, in the words of the model."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class ExtensionView:
    """``state`` is Azure's provisioning state, ``message`` what the guest says of it."""

    name: str
    version: str
    state: str
    message: str

    @classmethod
    def read(cls, arm: dict[str, Any]) -> Self:
        """From an extension of a VM."""
        known = arm["properties"]
        return cls(
            name=arm["name"],
            version=known["typeHandlerVersion"],
            state=known["provisioningState"],
            message=known["overwinter"]["message"],
        )

    @classmethod
    def of_instance(cls, arm: dict[str, Any]) -> Self | None:
        """From the instance view of a VM, which may have none."""
        for each in arm["extensions"]:
            (status,) = each["statuses"]
            return cls(each["name"], each["typeHandlerVersion"], status["displayStatus"], status["message"])
        return None
