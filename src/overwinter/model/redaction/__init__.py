"""Secrets out of text that leaves the host: first by known values, then by the places where secrets stand.

- ``writings``: the forms in which a known value can be written (quoted, base64, hexadecimal …)
- ``places``: where secrets stand in logs, settings and URLs, whatever their value
- ``redactor``: both over a text or a document

Pure. Whoever knows secrets gathers them and hands them in.
"""

from overwinter.model.redaction.redactor import MARK, Redactor

__all__ = ["MARK", "Redactor"]
