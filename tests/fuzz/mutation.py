"""Broken variants of valid input: of bytes, of JSON values, of the parts of a zip archive."""

from __future__ import annotations

import copy
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

# What JSON's own writer refuses to write, put in after it.
DEEP, HUGE = "@deep@", "@huge@"

_NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf")),
    *(2**31, 2**63, 2**64, -(2**63), 10**30, -(10**30), HUGE, DEEP),
    *("", "x", "\0", "\ud800", "a\nb", "\x1b[2J", "\u202e", "../../x", "/etc/passwd", "x" * 5000),
    *([], {}, [[]], [None], {"a": 1}, [1, 2, 3], ["a", "b"], {"": {}}),
)
_TOKENS = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"\n\n", b"\t", b" ", b"\\"),
    *(b'"', b"'", b"<", b">", b"/", b"&", b";", b",", b":", b"-", b"#", b"*", b"!", b"[", b"]"),
    *(b"{", b"}", b"(", b")", b"NaN", b"-Infinity", b"1e999", b"null", b"true", b"\\ud800"),
    *(b"\\u0000", b"\xed\xa0\x80", b"\x1b[2J", b"9" * 30, b"-1", b"0x", b"..", b"%", b"$", b"@"),
)
# Bytes of a case: more takes longer for no other reason than that it is more.
_MOST = 32 * 1024

# How often something is repeated: seldom so often that it shows how the time grows.
_TIMES = (1,) * 24 + (2, 2, 2, 30, 30, 1000)
_NUMBER = re.compile(rb"\d+")
_NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"9" * 19, b"9" * 40, b"1e308")


def mutated(content: bytes, draw: Random, tokens: Sequence[bytes] = ()) -> bytes:
    """Change some bytes; ``tokens`` are words of the format, put in beside the general ones."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        _change(changed, draw, tokens)
    return bytes(changed[: max(_MOST, 2 * len(content))])


def _change(content: bytearray, draw: Random, tokens: Sequence[bytes]) -> None:
    at = draw.randrange(len(content) + 1)
    length = draw.choice((1, 2, 8, 50, 500))
    kind = draw.randrange(8)
    if kind == 0 and at < len(content):
        content[at] ^= 1 << draw.randrange(8)
    elif kind == 1:
        content[at : at + length] = draw.randbytes(length)
    elif kind == 2:
        del content[at : at + length]
    elif kind == 3 and draw.random() < 0.3:
        del content[at:]
    elif kind == 4:
        content[at:at] = content[at : at + length] * draw.choice(_TIMES)
    elif kind == 5:
        other = draw.randrange(len(content) + 1)
        content[at:at] = content[other : other + length]
    elif kind == 6 and (found := list(_NUMBER.finditer(content[: 1 << 16]))):
        place = draw.choice(found)
        content[place.start() : place.end()] = draw.choice(_NUMBERS)
    else:
        token = draw.choice(tokens) if tokens and draw.random() < 0.6 else draw.choice(_TOKENS)
        content[at:at] = token * draw.choice(_TIMES)


def mutated_json(value: Any, draw: Random) -> bytes:
    """Give some values another type, drop, rename or double some keys; one in six as bytes."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        places = list(_places(value))
        if not places:
            value = draw.choice(_NASTY)
            break
        holder, key = draw.choice(places)
        kind = draw.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[f"{key}x"] = holder[key]
        elif kind == 2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(draw.choice(_NASTY))
    content = as_json(value)
    return mutated(content, draw) if draw.random() < 1 / 6 else content


def as_json(value: Any) -> bytes:
    """JSON with what its writer refuses to write."""
    depth = 100_000
    content = json.dumps(value).encode()
    content = content.replace(json.dumps(DEEP).encode(), b"[" * depth + b"]" * depth)
    return content.replace(json.dumps(HUGE).encode(), b"9" * 5000)


def mutated_zip(archive: bytes, draw: Random, tokens: Sequence[bytes] = ()) -> bytes:
    """Change some parts of an archive, or one time in four the archive itself."""
    if draw.random() < 1 / 4:
        return mutated(archive, draw)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as before, zipfile.ZipFile(packed, "w") as after:
        names = before.namelist()
        chosen = set(draw.sample(names, min(len(names), draw.choice((1, 1, 2, 5)))))
        for name in names:
            part = before.read(name)
            if name in chosen:
                part = mutated(part, draw, tokens)
            if name not in chosen or draw.random() < 0.95:
                after.writestr(name, part, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value, as what holds it and the key or index."""
    if not isinstance(value, dict | list):
        return
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(item)
