"""Catalogue: a compiled gettext catalogue (.mo) as pairs of English and Chinese sentences."""

import re
import struct
from typing import Iterator, List, Set, Tuple

from prose import HAN, WORD, han, tidy

Pair = Tuple[str, str]

# Marks of keyboard accelerators: "(_F)", "(&F)", "(~F)" in Chinese, "_File", "&File", "~File" in English.
CHINESE_ACCELERATOR = re.compile(r"\s*[(（][_&~][A-Za-z0-9][)）]")
ENGLISH_ACCELERATOR = re.compile(r"[_&~](?=[A-Za-z0-9])")
MARKUP = re.compile(r"</?[A-Za-z_][^<>]*>|&[a-z]+;|\\[nt]|\[/?[a-z_]+\]|\$\{?[A-Za-z_]+|https?://|@@|@[a-z]+[{@]")
# Lines of a program's --help, aligned as a table.
OPTION_LINE = re.compile(r"^\s*-{1,2}[A-Za-z]", re.MULTILINE)
PLACEHOLDER = re.compile(r"%(?:\([A-Za-z_]+\))?[-+ #0-9.*$]*(?:hh|h|ll|l|z|j)?[A-Za-z]|%[0-9]+|\{[A-Za-z0-9_.:]*\}")


def messages(data: bytes) -> Iterator[Pair]:
    """Each message of the catalogue with its translation, plural forms apart.

    Raises ValueError if the bytes are not a catalogue."""
    if len(data) < 28:
        raise ValueError("too short for a gettext catalogue")
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(data[:4])
    if order is None:
        raise ValueError("not a gettext catalogue")
    count, originals, translations = struct.unpack(order + "3I", data[8:20])

    def text_at(table: int, index: int) -> bytes:
        length, start = struct.unpack_from(order + "2I", data, table + 8 * index)
        return data[start : start + length]

    charset = "utf-8"
    for index in range(count):
        original, translation = text_at(originals, index), text_at(translations, index)
        if not original:
            # The empty message holds the header, which sorts first and names the encoding.
            declared = re.search(rb"charset=([A-Za-z0-9_-]+)", translation)
            charset = declared.group(1).decode("ascii") if declared else charset
            continue
        try:
            # "context EOT message"; plural forms of both sides are separated by NUL.
            english = original.decode(charset).split("\x04", 1)[-1].split("\x00")
            chinese = translation.decode(charset).split("\x00")
        except (UnicodeDecodeError, LookupError):
            continue
        yield english[-1], chinese[-1]


def clean_pair(english: str, chinese: str) -> Pair:
    """Both sides on one line, accelerator marks removed."""
    if CHINESE_ACCELERATOR.search(chinese):
        chinese = CHINESE_ACCELERATOR.sub("", chinese)
        english = ENGLISH_ACCELERATOR.sub("", english, count=1)
    return tidy(english), tidy(chinese)


def good_pair(english: str, chinese: str) -> bool:
    """Whether the two sides are sentences a reader would take for a translation."""
    if han(chinese) < 8 or HAN.search(english) or len(english) > 1000:
        return False
    if MARKUP.search(english) or MARKUP.search(chinese):
        return False
    words = len(WORD.findall(PLACEHOLDER.sub(" ", english)))
    placeholders = len(PLACEHOLDER.findall(chinese))
    if words < 3 or placeholders > 3 or han(chinese) < 6 * placeholders:
        return False
    # A side several times as long as the other is a note, a list or half a translation.
    return 0.5 <= han(chinese) / words <= 6


def catalogue_pairs(data: bytes, seen: Set[str]) -> List[Pair]:
    """The good pairs of one catalogue, without a Chinese side seen before; `seen` grows."""
    pairs = []
    for message in messages(data):
        if OPTION_LINE.search(message[0]):
            continue
        english, chinese = clean_pair(*message)
        if chinese not in seen and good_pair(english, chinese):
            seen.add(chinese)
            pairs.append((english, chinese))
    return pairs
