"""The words of the system as frozen values and pure rules: what a VM, policy, job and point *are*.

Nothing here does I/O or reads a clock; time is always an argument.
"""
