"""The fault gallery: real failures, each injected on purpose, and what the product must make of it.

``fault`` says what a fault is, ``patient`` and ``scene`` what it happens to, ``faults`` has all of them by
idea, ``showing`` injects one and looks what comes of it, ``page`` writes docs/fault-gallery.md. ``healthy``
has VMs that are well, for the doctor to say so.
"""
