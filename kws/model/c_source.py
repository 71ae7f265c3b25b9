"""Pieces of C source: comments, literals and initialisers, in ASCII and at most 120 columns wide."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 120

ALIGN_MACROS = (
    "#ifndef KWS_ALIGNED",
    "#ifdef __cplusplus",
    "#define KWS_ALIGNED alignas(KWS_ALIGN)",
    "#else",
    "#define KWS_ALIGNED _Alignas(KWS_ALIGN)",
    "#endif",
    "#ifdef __GNUC__",
    "#define KWS_UNUSED __attribute__((unused))",
    "#else",
    "#define KWS_UNUSED",
    "#endif",
    "#endif",
)


def comment(lines: Iterable[str]) -> Iterator[str]:
    """A block comment; whatever text the lines hold cannot end it, open another or leave ASCII."""
    start = "/* "
    for line in lines:
        text = line.encode("ascii", "backslashreplace").decode()
        text = re.sub(r"[\x00-\x1f\x7f]", " ", text)
        text = text.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
        for part in textwrap.wrap(text, WIDTH - 3, subsequent_indent="  ", break_on_hyphens=False) or [""]:
            yield f"{start}{part}".rstrip()
            start = " * "
    yield " */"


def data_struct(symbol: str, arrays: dict[str, NDArray[Any]], bits: Collection[str] = ()) -> Iterator[str]:
    """One struct that holds every array, so that its size is the size table's total; those in ``bits`` in hex."""
    yield "static const struct {"
    for field, array in arrays.items():
        c_type = "float" if array.dtype == np.float32 else f"{array.dtype.name}_t"
        yield f"    KWS_ALIGNED {c_type} {field}[{array.size}];"
    yield f"}} {symbol} = {{"
    for field, array in arrays.items():
        yield f"    /* {field} {''.join(f'[{size}]' for size in array.shape)} */"
        yield from _wrapped([_number(value, field in bits) for value in array.reshape(-1)])
    yield "};"


def _wrapped(items: list[str]) -> Iterator[str]:
    """A braced list of items of one width, as many a line as fit."""
    width = max(map(len, items))
    per_line = max(1, (WIDTH - 6) // (width + 2))
    if per_line >= 8:
        per_line -= per_line % 8
    yield "    {"
    for start in range(0, len(items), per_line):
        yield "        " + ", ".join(items[start : start + per_line]) + ","
    yield "    },"


def _number(value: Any, as_bits: bool) -> str:
    if as_bits:
        return f"0x{int(value):0{2 * value.itemsize}x}u"
    return float_literal(value) if value.dtype == np.float32 else str(int(value))


def float_literal(value: np.float32) -> str:
    """The shortest decimal that reads back as the same float32."""
    return f"{value!s}f"


def string(text: str) -> str:
    """A C string literal in ASCII: everything else as three-digit octal escapes of its UTF-8 bytes."""
    escaped = ""
    for octet in text.encode():
        char = chr(octet)
        if char in '"\\?':  # ? could begin a trigraph
            escaped += "\\" + char
        elif 32 <= octet < 127:
            escaped += char
        else:
            escaped += f"\\{octet:03o}"
    return f'"{escaped}"'


def struct(head: str, fields: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The definition ``head`` with one line a field, (name, value), by position: C++17 has no designators."""
    yield f"{head} = {{"
    yield from (f"    {value}, /* {field} */" for field, value in fields)
    yield "};"


def initialiser(values: Iterable[str]) -> Iterator[str]:
    """One element of an array of structs: the values of its fields, by position."""
    yield from textwrap.wrap(
        "{" + ", ".join(values) + "},", WIDTH, initial_indent="    ", subsequent_indent="     ", break_long_words=False
    )
