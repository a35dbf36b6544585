"""Decoding of bytes into text, and the number of bytes that one document may have."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO

from ragdoll.errors import number_of

# A longer text is a mistake far more often than a document, and would be held several times over.
MAX_BYTES = 64 * 2**20

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")

# From this number of broken places on, a file that has more of them than characters is no UTF-8.
_CERTAIN = 1000
# Bytes by which an encoding is recognised.
_SAMPLE = 2**17

_ZEROS = re.compile("\0+")
_CONTROLS = re.compile("[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")
# A text has this many times as many characters as runs of zeros and other controls, or more.
_LEAST_TEXT = 16

_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_WIDE_SAMPLE = 2**13
_LEAST_WIDE = 4
# Characters that are rare in text. Text of one byte a character has many when two are read as one.
_RARE = re.compile(
    "[^\t\n\f\r -~\xa0-\u1fff\u2010-\u205f\u20a0-\u27ff\u3000-\u30ff\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\U00010000-\U0003ffff]"
)
_MOST_RARE = 0.05
_ASCII = b"\t\n\r" + bytes(range(32, 127))
_MOST_ASCII = 7 / 8

_WESTERN = "Windows-1252"
# The sign for any currency, in whose place other encodings have a letter or the euro.
_CURRENCY = b"\xa4"
# What the codec of cp932 makes of bytes that stand for nothing.
_PRIVATE = re.compile("[\uf8f0-\uf8f3]")
# Short texts in other encodings look like these, in which hardly any file is.
_UNLIKELY = ("hp-roman8", "iso8859-3", "iso8859-4", "mac-cyrillic", "mac-latin2")
# A Western encoding that is this many times as likely as another Latin one is the better guess; in
# a text with few different characters beyond ASCII, one that is far less likely is.
_WESTERN_SHARE = 0.8
_FEW = 3
_BELOW = bytes(range(128))
# What Western text does not have: a capital behind a small letter, several marks in a row, a mark
# within a word, and rare characters.
_MARKS = "¡-£¥-©«-¹»-¿×÷–—‘’‚“”„•…‹›€™\xa0"
_LETTERS = "À-ÖØ-öø-ÿŒœªº"
_NOT_WESTERN = re.compile(
    f"[a-zß-öø-ÿ][À-ÖØ-Þ]|[{_MARKS}]{{3}}|(?<=[^\\W\\d_])(?![’·])[{_MARKS}](?=[^\\W\\d_])"
    f"|[^\0-\x7f{_LETTERS}{_MARKS}]"
)
_LETTER = re.compile(f"[{_LETTERS}]")
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u02ff\u1e00-\u1eff]+")

_DECLARED = re.compile(
    rb"<(?:meta|\?xml)\b[^<>]*?(?:charset|encoding)\s*=\s*(?:[\"']\s*)?([\w.:-]+)", re.IGNORECASE
)
_DECLARED_WITHIN = 2**12
# Browsers read these as their supersets, and pages count on it.
_SUPERSETS = {
    "ascii": "cp1252",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis_2004": "cp932",
    "tis-620": "cp874",
}


def too_large(most: int) -> str:
    """Return the reason for leaving out a document of more than ``most`` bytes."""
    return f"larger than {most // 2**20} MiB; split it"


TOO_LARGE = too_large(MAX_BYTES)


class UnreadableError(Exception):
    """A file or record cannot be turned into text; the message is the reason."""


class UnreadError(UnreadableError):
    """A file was not read this time, or not to its end: its documents may still be in it."""


def text_of(path: Path, encoding: str) -> tuple[str, str | None]:
    """Read a file that is one text, as ``readable`` does; return the note, too.

    Raises:
        UnreadableError: the file is too large, or no text.
        OSError: the file cannot be read.
    """
    check_size(path, MAX_BYTES)
    content = path.read_bytes()
    if encoding == "auto" and _marked(content) is None:
        try:
            return decode(content), None
        except UnreadableError:  # not UTF-8
            pass
    with readable(path, encoding) as (place, note):
        check_size(place, MAX_BYTES)
        return decode(place.read_bytes()), note


def guessed(content: bytes) -> str:
    """Decode a part of a file as files are decoded, with signs for what is broken."""
    try:
        return decode(content)
    except UnreadableError:  # not UTF-8
        pass
    with TemporaryDirectory() as folder:
        part = Path(folder) / "part"
        part.write_bytes(content)
        with readable(part, declared(part)) as (place, _):
            return place.read_bytes().decode("utf-8", "replace")


def is_text(path: Path) -> bool:
    """Tell whether a file begins like a text."""
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE)
    except OSError:
        return True  # Reading it says why it cannot be read.
    return _marked(head) is not None or not _is_binary(head.decode("latin-1"))


def declared(path: Path) -> str:
    """Return the encoding that a page declares; ``auto`` where it is UTF-8, unknown or none."""
    from chardet.registry import lookup_encoding

    with path.open("rb") as file:
        labels = _DECLARED.findall(file.read(_DECLARED_WITHIN))
    known = filter(None, (lookup_encoding(label.decode()) for label in labels))
    name = next(known, "utf-8")
    return "auto" if name.startswith("utf-") else _SUPERSETS.get(name, name)


def check_size(path: Path, most: int) -> None:
    """Check that a file has no more than ``most`` bytes.

    Raises:
        UnreadableError: it has more.
    """
    if path.stat().st_size > most:
        raise UnreadableError(too_large(most))


@contextmanager
def readable(path: Path, encoding: str = "auto") -> Iterator[tuple[Path, str | None]]:
    """Yield a file of the same text in UTF-8, not compressed, and a note on what that took.

    That is the file itself where it is UTF-8 already; the note is None then. Where it is not,
    ``encoding`` says what it is, or ``auto`` to recognise it. A few broken characters and zeros
    are read as a sign or a space. What cannot be recognised stays as it is.

    Raises:
        UnreadableError: a compressed file is broken, or grows too large.
        OSError: the file cannot be read, or there is no room for a copy.
    """
    with inflated(path) as (place, cut_off), in_utf8(place, encoding) as (copy, noted):
        yield copy, "; ".join(filter(None, (cut_off, noted))) or None


@contextmanager
def in_utf8(path: Path, encoding: str) -> Iterator[tuple[Path, str | None]]:
    """Yield a file that is not compressed in UTF-8, and a note; see ``readable``.

    Raises:
        OSError: the file cannot be read, or there is no room for a copy.
    """
    found, is_guess = _encoding_of(path, encoding)
    if found is None:
        yield path, None
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        notes = [f"read as {found}"] if is_guess else []
        broken, zeros = _transcode(path, copy, found)
        places = {f"not {found.upper()}": broken, "zeros": zeros}
        notes += [f"{what} in {number_of('place', n)}" for what, n in places.items() if n]
        yield copy, ", ".join(notes) or None


@contextmanager
def inflated(path: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield a file that is not compressed, of the same name, and a note where it is cut off.

    Raises:
        UnreadableError: a compressed file is broken, or grows too large.
        OSError: the file cannot be read, or there is no room for a copy.
    """
    if path.suffix.lower() not in COMPRESSED:
        yield path, None
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        yield copy, _inflate(path, copy)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file in UTF-8 behind its mark, if it has one.

    Where lines end in a carriage return alone, that is a copy whose lines end in a line feed.
    """
    with ExitStack() as stack:
        file: Any = stack.enter_context(path.open("rb"))
        head = file.read(_SAMPLE)
        if b"\r" in head and b"\n" not in head:
            copy = stack.enter_context(TemporaryFile())
            while head:
                copy.write(head.replace(b"\r", b"\n"))
                head = file.read(_SAMPLE)
            file = copy
        file.seek(0)
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        yield file


def _encoding_of(path: Path, told: str) -> tuple[str | None, bool]:
    """Return the encoding of a file that has to be copied, and whether it is a guess.

    The encoding is None where the file is UTF-8 or cannot be recognised.
    """
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    name = told if told == "auto" else codecs.lookup(told).name
    found, is_guess = _marked(head), False
    if found is None or found == "utf-8-sig":
        is_text = not _is_binary(head.decode("latin-1"))
        valid, broken, zeros = _characters(path) if is_text else (0, 1, False)
        if 2 * broken <= valid + 1:
            if broken or zeros:
                return "utf-8", False
            # ASCII may be another encoding, which has escapes, but a wide one has zeros.
            if valid or name.startswith(("auto", "utf-16", "utf-32")):
                return None, False
        if name in {"utf-16", "utf-32"}:
            found = _wide(head) or f"{name}-le"
        elif told != "auto":
            found = told
        else:
            found = _wide(head) if b"\0" in head else None
            found = found or (_recognised(path) if is_text else None)
            is_guess = found is not None
    if found is None or _is_binary(head.decode(found, "replace")):
        return None, False
    return found, is_guess


def _is_binary(text: str) -> bool:
    """Tell whether there are more zeros and other controls than a damaged text has."""
    if "\0" not in text:
        return False
    text = _ZEROS.sub("\0", text)
    return len(_CONTROLS.findall(text)) * _LEAST_TEXT > len(text)


def _characters(path: Path) -> tuple[int, int, bool]:
    """Count the characters beyond ASCII in a file, and the places where it is not UTF-8.

    Tell whether there are zeros, too. Counting ends where the file is certain to have another
    encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    valid = broken = 0
    zeros = False
    with path.open("rb") as file:
        while piece := file.read(_TEXT_PIECE):
            text = decoder.decode(piece)
            zeros = zeros or b"\0" in piece
            if text.isascii():
                continue
            lost = _signs(text, piece)
            broken += lost
            valid += len(text) - len(text.encode("ascii", "ignore")) - lost
            if broken > _CERTAIN and broken > valid:
                break
    return valid, broken + len(decoder.decode(b"", final=True)), zeros


def _signs(text: str, piece: bytes) -> int:
    """Count the signs for broken characters that do not stand in the UTF-8 itself."""
    return text.count("\ufffd") - piece.count("\ufffd".encode())


def _wide(head: bytes) -> str | None:
    """Return the encoding of two or four bytes a character that bytes are text in; None for none.

    Bytes in the wrong order are letters, too, but neither spaces nor line ends.
    """
    head = head[:_WIDE_SAMPLE]
    if len(head) - len(head.translate(None, _ASCII)) > _MOST_ASCII * len(head):
        return None
    found, most = None, 0
    for name in _WIDE:
        text = head.decode(name, "replace")
        plain = len(text.encode("ascii", "ignore"))
        # A character of ASCII has a zero, besides the two of any character of four bytes.
        zeros = head.count(0) - (len(head) - 2 * len(text))
        is_likely = len(text) >= _LEAST_WIDE and zeros <= 2 * plain and plain > most
        if is_likely and len(_RARE.findall(text)) <= _MOST_RARE * len(text):
            found, most = name, plain
    return found


def _recognised(path: Path) -> str | None:
    """Return the encoding that the bytes beyond ASCII speak for; None where it is no text."""
    import chardet
    from chardet import EncodingEra

    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
        while sample.isascii() and (piece := file.read(_SAMPLE)):
            sample = piece
    sample = sample.replace(b"\0", b" ")
    text = sample.decode(_WESTERN, "replace")
    is_western = not _NOT_WESTERN.search(text)
    if is_western and not _LETTER.search(text):
        return _WESTERN
    # Text of DOS and of old Macs does not look Western.
    present = EncodingEra.MODERN_WEB | EncodingEra.LEGACY_ISO
    found = chardet.detect_all(
        sample,
        ignore_threshold=True,
        encoding_era=present if is_western else EncodingEra.ALL,
        exclude_encodings=_UNLIKELY,
    )
    likely = {one["encoding"]: one["confidence"] for one in found}
    western = 0 if _CURRENCY in sample else likely.get(_WESTERN, 0)
    evidence = len(set(sample.translate(None, _BELOW))) ** 2
    share = _WESTERN_SHARE * (evidence / (evidence + _FEW) if is_western else 1)
    for name, confidence in likely.items():
        if name is None:
            return None
        text = sample.decode(name, "replace")
        others = _NOT_LATIN.findall(text)
        count = sum(map(len, others))
        if not others and western >= share * confidence:
            break
        # The letters with accents of a Latin text stand alone, whatever they are taken for.
        if "utf" not in name.lower() and (count >= 2 * len(others) or 2 * count > len(text)):
            return name
    return _WESTERN


def _transcode(path: Path, copy: Path, encoding: str) -> tuple[int, int]:
    """Write a copy in UTF-8, with signs for broken characters and a space for zeros.

    Return the number of places with either.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    broken = zeros = 0
    piece = b"begin"
    with path.open("rb") as file, copy.open("wb") as written:
        while piece:
            piece = file.read(_TEXT_PIECE)
            text = _PRIVATE.sub("\ufffd", decoder.decode(piece, final=not piece))
            broken += _signs(text, piece if encoding == "utf-8" else b"")
            text, runs = _ZEROS.subn(" ", text)
            zeros += runs
            written.write(text.encode("utf-8", "replace"))
    return broken, zeros


def _inflate(path: Path, place: Path) -> str | None:
    """Decompress a file; return a note where its end is missing, as after a broken transfer.

    Raises:
        UnreadableError: the file is damaged, or grows to more than a corpus of text does.
        OSError: the file cannot be read, or there is no room for its content.
    """
    most = max(_LEAST_INFLATED, path.stat().st_size * _INFLATION)
    note = None
    try:
        with COMPRESSED[path.suffix.lower()](path) as file, place.open("wb") as copy:
            try:
                # Not ``read``, which loses what it has where the file ends too soon.
                while copy.tell() <= most and (piece := file.read1(_PIECE)):
                    copy.write(piece)
            except EOFError:
                if not copy.tell():
                    raise
                note = "cut off; its end is missing"
            size = copy.tell()
    except _DAMAGES as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        kind = path.suffix.lower().removeprefix(".")
        raise UnreadableError(f"damaged, or no {kind} file") from error
    if size > most:
        raise UnreadableError(
            f"more than {_INFLATION} times as large when it is decompressed; do that beforehand"
        )
    return note


def _zstandard(path: Path) -> BinaryIO:
    import pyarrow as pa

    stream: BinaryIO = pa.input_stream(str(path), compression="zstd")
    return stream


COMPRESSED: dict[str, Callable[[Path], Any]] = {
    ".bz2": bz2.open,
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
}
"""The endings of compressed files, and what opens them."""

_DAMAGES = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)

# Logs that repeat themselves shrink to a hundredth. A bomb grows a thousandfold.
_INFLATION = 200
_LEAST_INFLATED = 2**30
_PIECE = 2**20
_TEXT_PIECE = 2**16


def next_line(file: BinaryIO) -> bytes:
    """Return the next line of a file; an empty one at its end.

    Raises:
        UnreadableError: the line is too large; the next call returns the one after it.
    """
    line = file.readline(MAX_BYTES + 1)
    if len(line) <= MAX_BYTES:
        return line
    while line and not line.endswith(b"\n"):
        line = file.readline(2**20)
    raise UnreadableError(TOO_LARGE)


def decode(content: bytes, encoding: str = "utf-8-sig") -> str:
    """Decode UTF-8 (with or without BOM) or UTF-16 (with BOM), or another encoding by its name.

    Raises:
        UnreadableError: the bytes have another encoding, or are no text at all.
    """
    encoding = _marked(content) or encoding
    try:
        text = content.decode(encoding)
    except (LookupError, ValueError) as error:
        raise UnreadableError(f"not {encoding.removesuffix('-sig')} text") from error
    if "\0" in text:
        raise UnreadableError("binary")
    return text


def is_encoding(name: str) -> bool:
    """Tell whether a name is ``auto`` or that of an encoding of text."""
    try:
        return name == "auto" or isinstance(b" ".decode(name, "ignore"), str)
    except (LookupError, ValueError):
        return False


def storable(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and UTF-8 cannot store."""
    try:
        text.encode()  # far faster than a search
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def display_name(name: str) -> str:
    """Return a file name as text; one that is not UTF-8 stays distinct from others."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _marked(content: bytes) -> str | None:
    """Return the encoding that the first bytes name; None where they name none."""
    return next((name for bom, name in _BOMS if content.startswith(bom)), None)
