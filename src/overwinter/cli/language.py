"""The language that the command line speaks: the one of its environment (LC_ALL, LC_MESSAGES, LANG)."""

import os

from overwinter.codebook import languages


def spoken() -> str:
    """The code book's language for this process."""
    return languages.of_environment(os.environ)
