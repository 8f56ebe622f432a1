"""The status file of a handler, read strictly (see ``extension/handler.py`` for who writes it)."""

import json

from overwinter.model.guest_extension import ExtensionStatus, ProvisioningState

#: The handler's words for its own state. One that was disabled does not freeze, but is there.
_STATES = {
    "transitioning": ProvisioningState.CREATING,
    "success": ProvisioningState.SUCCEEDED,
    "warning": ProvisioningState.SUCCEEDED,
    "error": ProvisioningState.FAILED,
}

_LONGEST = 200

_UNREADABLE = ExtensionStatus(ProvisioningState.FAILED, message="Its status file makes no sense.")


def read_status(content: bytes) -> ExtensionStatus:
    """The state that a status file tells; Failed for one that makes no sense."""
    try:
        status = json.loads(content)[0]["status"]
        state = _STATES[status["status"]]
        message = _text(status["formattedMessage"]["message"])
        version = next(
            _text(each["formattedMessage"]["message"])
            for each in status["substatus"]
            if each["name"] == "version"
        )
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError):
        return _UNREADABLE
    return ExtensionStatus(state, version, message)


def _text(said: object) -> str:
    if not isinstance(said, str):
        raise TypeError(said)
    return "".join(c for c in said[:_LONGEST] if c.isprintable())
