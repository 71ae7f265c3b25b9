"""The official Speech Commands split: every clip of a speaker falls on the same side.

A clip named ``<speaker>_nohash_<n>.wav`` goes where the SHA-1 of its speaker sends it (Warden, "Speech Commands", 2018,
section 5.4: 10 % validation, 10 % testing). A folder may also bring ``validation_list.txt`` and ``testing_list.txt``,
which then decide for the clips they name; the hash decides for the rest, since a clip that no list names may still be
of a speaker whose other clips one does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("training", "validation", "testing")
VALIDATION_LIST, TESTING_LIST = "validation_list.txt", "testing_list.txt"
_MAX_CLIPS = 2**27 - 1


def speaker_of(filename: str) -> str | None:
    """The speaker id of ``<speaker>_nohash_<n>.wav``, or None where the name holds none."""
    speaker, mark, _ = filename.rpartition("_nohash_")
    return speaker if mark and speaker else None


def hash_split(filename: str, validation: float = 10.0, testing: float = 10.0) -> str:
    """The split of a clip by the official hash rule; a name without a speaker id is hashed as it is.

    Args:
        filename: the clip's file name, without its folder.
        validation: per cent of speakers for validation.
        testing: per cent of speakers for testing.
    """
    key = speaker_of(filename) or Path(filename).stem
    digest = int(hashlib.sha1(key.encode()).hexdigest(), 16)
    percent = (digest % (_MAX_CLIPS + 1)) * (100.0 / _MAX_CLIPS)
    if percent < validation:
        return "validation"
    return "testing" if percent < validation + testing else "training"


@dataclass(frozen=True)
class SplitLists:
    """What the two list files of a folder say; empty where there are none."""

    validation: frozenset[str] = field(default_factory=frozenset)
    testing: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, folder: Path) -> SplitLists:
        """Reads ``folder``'s list files, one ``word/clip.wav`` a line."""

        def names(filename: str) -> frozenset[str]:
            path = folder / filename
            return frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else frozenset()

        return cls(names(VALIDATION_LIST), names(TESTING_LIST))

    def split_of(self, word: str, filename: str) -> str:
        """The split of ``word/filename``: by the list that names it, else by the hash."""
        name = f"{word}/{filename}"
        if name in self.validation:
            return "validation"
        return "testing" if name in self.testing else hash_split(filename)
