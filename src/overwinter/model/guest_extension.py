"""The state of the extension in a guest, in the words of Azure's instance views."""

from dataclasses import dataclass
from enum import StrEnum


class ProvisioningState(StrEnum):
    """How far the extension's installation is."""

    NOT_INSTALLED = "NotInstalled"
    CREATING = "Creating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class ExtensionStatus:
    """What the guest tells of it; ``version`` is empty where it does not say."""

    state: ProvisioningState
    version: str = ""
    message: str = ""
