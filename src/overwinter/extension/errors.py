"""What the commands of the extension raise.

Python 3.6, standard library only.
"""


class Unfit(Exception):
    """This guest cannot do what is asked, or not now; the message is for people."""
