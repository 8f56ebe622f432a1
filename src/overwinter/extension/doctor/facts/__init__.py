"""What can be known about the machine: one module per source, put together in ``snapshot``.

A source reads what is there and judges nothing. It raises OSError when it may not look, and ValueError
when it finds something of an unknown form; ``snapshot`` turns both into an unknown fact with its reason.
"""
