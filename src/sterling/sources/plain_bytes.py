"""Text files as bytes in memory: unpacked, bounded, UTF-8."""

from __future__ import annotations

from pathlib import Path

from sterling.kernel.errors import UnreadableInput

# Text is about as large as the table that is made of it; both are held for a moment.
MOST_BYTES = 4 * 2**30
CHUNK = 2**22
BOM = b"\xef\xbb\xbf"


def text_bytes(path: Path) -> bytes:
    """The file's bytes, unpacked if its name ends in .gz, without a byte order mark.

    Raises:
        UnreadableInput: if it is empty, larger than MOST_BYTES when unpacked, or not UTF-8.
    """
    data = (_gunzip(path) if path.suffix.lower() == ".gz" else _bounded(path)).removeprefix(BOM)
    if not data.strip():
        raise UnreadableInput(f"{path} is empty", mend="name a file with at least a header and one row")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableInput(f"{path} is UTF-16 text", mend=f"iconv -f utf-16 -t utf-8 {path} > utf8-{path.name}")
    _refuse_other_encodings(path, data)
    return data


def _refuse_other_encodings(path: Path, data: bytes) -> None:
    # By chunks: a decoded copy of the whole would take up to four times the memory.
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), CHUNK):
        try:
            decoder.decode(data[start : start + CHUNK], final=start + CHUNK >= len(data))
        except UnicodeDecodeError as err:
            line = data.count(b"\n", 0, min(start + err.start, len(data))) + 1
            raise UnreadableInput(
                f"{path} is not UTF-8: byte 0x{err.object[err.start]:02x} in line {line:,}",
                mend=f"if it is Latin-1 or Windows text: iconv -f windows-1252 -t utf-8 {path} > utf8-{path.name}",
            ) from err


def _bounded(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise _too_large(path, f"{size / 2**30:,.1f} GiB")
    return path.read_bytes()


def _gunzip(path: Path) -> bytes:
    import gzip
    import zlib

    parts: list[bytes] = []
    size = 0
    try:
        with gzip.open(path) as file:
            while part := file.read(CHUNK):
                size += len(part)
                if size > MOST_BYTES:
                    raise _too_large(path, f"more than {MOST_BYTES / 2**30:,.0f} GiB unpacked")
                parts.append(part)
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise UnreadableInput(f"{path} is no whole gzip file: {err}", mend="copy or export it again") from err
    return b"".join(parts)


def _too_large(path: Path, size: str) -> UnreadableInput:
    return UnreadableInput(
        f"{path} is {size}: too large to read as text",
        mend="give a random sample of its rows, or convert it to Parquet",
    )
