"""JSON that somebody else has written. Python 3.6, standard library only."""

import json
from typing import Any


def load(text: str) -> Any:
    """What the text says. Raises ValueError, also for what is nested deeper than anything sound."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def member(value: Any, name: str) -> Any:
    """The object of that name in an object; empty when there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
