"""What should be so on a machine that can be backed up: pure rules on facts, in the order of the guide.

``finding`` has the words of a result, ``catalogue`` the table of all checks and their order. The rules lie by
what they are about: ``vm``, ``agent``, ``options``, ``extensions``, ``network``, ``snapshot``, ``windows``;
``expected`` says which agents a machine needs at all.
"""
