"""Talking to what runs in the guest: the QEMU guest agent behind bounded, typed calls."""
