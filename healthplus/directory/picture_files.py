"""Tell files that are a picture and nothing else from those that something else opens as well."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO

_HEAD_BYTES = 1024
_ALSO = re.compile(rb"<(?:html|script|svg|!doctype|\?php)|%PDF-", re.IGNORECASE)


def is_only_picture(content: bytes) -> bool:
    """Return whether a file is no page, script, document or archive besides, by its beginning and what follows its end.

    Between them is compressed data, in which any short text may stand by chance.
    """
    end = _end_of(content)
    outside = content[:_HEAD_BYTES] + content[max(end, _HEAD_BYTES) :]
    return not _ALSO.search(outside) and not zipfile.is_zipfile(BytesIO(content))


def _end_of(content: bytes) -> int:
    """Return where a picture ends in its file: that of the file where it has no end, or is none that we know."""
    if content.startswith(b"\xff\xd8"):
        return _jpeg_end(content)
    if content.startswith(b"\x89PNG"):
        return _png_end(content)
    if content.startswith(b"RIFF"):
        return 8 + int.from_bytes(content[4:8], "little")
    return 0


def _jpeg_end(content: bytes) -> int:
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:  # of a scan, in which 0xFF begins a marker unless a 0 or a restart follows
            found = content.find(b"\xff", at)
            at = len(content) if found == -1 else found
        elif content[at + 1] == 0xD9:
            return at + 2
        elif content[at + 1] in (0x00, 0x01, 0xFF, *range(0xD0, 0xD9)):
            at += 1 if content[at + 1] == 0xFF else 2
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return len(content)


def _png_end(content: bytes) -> int:
    at = 8
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        at += 12 + length
        if kind == b"IEND":
            return at
    return len(content)
