"""DSC files: one reader a format, all of which give a `Record`."""

from __future__ import annotations

from pathlib import Path

from . import netzsch, plain, stare, ta_q, trios
from .record import FileError, Record, in_unit
from .text import decode

READERS = {"trios": trios, "ta-q": ta_q, "netzsch": netzsch, "stare": stare, "csv": plain}  # plain is tried last


def read(path: str | Path, kind: str | None = None, unit: str | None = None) -> Record:
    """Read a DSC file: TA TRIOS text or CSV, TA Q series text, NETZSCH Proteus ASCII, Mettler STARe text, plain CSV.

    kind: one of READERS, found from the content if None; unit: "C" or "K" of temperatures whose unit the file does not
    name (°C, with a remark, if None). Raises FileError for what cannot be read, with the reason.
    """
    path = Path(path)
    try:
        text = decode(path.read_bytes(), str(path))
    except OSError as error:
        raise FileError(str(path), f"cannot be read: {error.strerror}") from error
    if not text.strip():
        raise FileError(str(path), "is empty; expected a DSC export with temperature and heat flow")
    if kind is None:
        reader = next((module for module in READERS.values() if module.matches(text)), plain)
    elif kind not in READERS:
        raise FileError(str(path), f"format {kind!r} is unknown; expected one of {', '.join(READERS)}")
    else:
        reader = READERS[kind]
        if not reader.matches(text):
            raise FileError(str(path), f"has no mark of the format {kind}; leave --format out, or give another")
    return in_unit(reader.read(text, str(path)), unit)


__all__ = ["READERS", "FileError", "Record", "read"]
