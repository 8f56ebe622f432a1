"""The doctor inside a guest, alone: why would a backup of this machine fail, seen from within?

It needs no server: an Azure VM, a KVM guest, or a copy of either's root directory will do. ``facts`` ask the
machine, each source bounded in time and size; ``checks`` are pure rules on these facts, with the ids that the
guide's checks have everywhere in Overwinter; ``diagnosis`` names the errors that a backup would end with;
``report`` writes all of it down.

Python 3.6, standard library only.
"""
