"""What the tortures share: what goes wrong is told on stderr and counted, and the rest goes on."""

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def counting(tally: object, wrong: Mapping[type[Exception], str], otherwise: str) -> Iterator[None]:
    """Count what the block raises in the field of ``tally`` that ``wrong`` names for it, or ``otherwise``."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (told, counted, and the rest goes on)
        traceback.print_exc()
        fields = (field for kind, field in wrong.items() if isinstance(error, kind))
        field = next(fields, otherwise)
        setattr(tally, field, getattr(tally, field) + 1)


def tell(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)
