"""Disk images without a hypervisor: chains, what changed in them, reading, writing, merging.

Formats are QEMU's business: everything but a plain raw file goes through ``qemu-img`` or ``qemu-nbd``. No
image is ever opened by guessing its format, because a guest decides what the first bytes of its raw disk
are.
"""
