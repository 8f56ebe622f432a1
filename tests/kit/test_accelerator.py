"""The accelerator is chosen by trying: what boots is taken, what does not boot in time is not."""

import time

from testkit.accelerator import Accelerator, accelerator, boots
from testkit.guest import guest_image


def test_emulation_boots_in_time() -> None:
    assert boots("tcg", guest_image().kernel, limit=60)


def test_an_accelerator_that_does_not_exist_does_not_boot() -> None:
    assert not boots("none-such", guest_image().kernel, limit=60)


def test_what_hangs_is_given_up_at_the_limit() -> None:
    started = time.monotonic()
    # No kernel is up after this time, on any accelerator.
    assert not boots("tcg", guest_image().kernel, limit=0.05)
    assert time.monotonic() - started < 5


def test_choice_is_kept() -> None:
    kernel = guest_image().kernel
    chosen = accelerator(kernel)
    assert chosen in (Accelerator.KVM, Accelerator.EMULATION)
    started = time.monotonic()
    assert accelerator(kernel) is chosen
    assert time.monotonic() - started < 1
