"""What sounds almost like a phrase and is not it: the speech that a model must learn to refuse.

Parts of the phrase, its words in another order or twice, the phrase with one word exchanged, the common words that are
nearest to each of its words, and the phrase with one or two sounds exchanged: a vowel for another vowel, a consonant
for another consonant. The sounds are eSpeak NG's phonemes, so this works in every language that it speaks.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from kws.data import espeak
from kws.own_words.common import COMMON_WORDS

Word = list[str]
"""Phonemes of a word, as ``espeak.phonemes`` names them."""

MOST_ORDERS = 12
EXCHANGED_WORDS = 12
EXCHANGED_SOUNDS = 24
NEAREST_WORDS = 8
LONG = 5
"""Phonemes from which on two are exchanged: people's own ways of saying a long word differ by one."""

_VOWELS = "aeiouAEIOUV0123@yYW"
_STRESS = "',%="


def near_phrases(phrase: str, language: str = "en", seed: int = 0, also: Sequence[str] = ()) -> list[str]:
    """Texts for ``espeak.Utterance``, each once, in none of which ``phrase`` is heard as eSpeak NG says it.

    Args:
        phrase: words separated by spaces.
        language: as eSpeak NG names it.
        seed: of the draws.
        also: more phrases that may not be heard.

    Raises:
        KwsError: no eSpeak NG, or a language that it does not speak.
    """
    words = phrase.split()
    # A string of its own and not a number: the draws of two phrases have nothing in common.
    rng = random.Random(f"{seed} {phrase}")
    said, *others = sounds_of([phrase, *COMMON_WORDS], language)
    nearest = [text for word in said for text in _nearest(word, others)]
    texts = [*_parts(words), *_orders(words, rng), *_exchanged_words(words, rng), *nearest]
    sounds = _exchanged_sounds(said, _inventory([said, *others]), rng)
    unwanted = [said, *sounds_of(also, language)]
    heard = sounds_of(texts, language)
    kept = [text for text, its in zip(texts, heard, strict=True) if not says_any(its, unwanted)]
    kept += [f"[[{' '.join(''.join(word) for word in other)}]]" for other in sounds if not says_any(other, unwanted)]
    return list(dict.fromkeys(kept))


def sounds_of(texts: Sequence[str], language: str) -> list[list[Word]]:
    """The words of each text as eSpeak NG says them. Raises KwsError as ``espeak.phonemes`` does."""
    return espeak.phonemes(texts, "en-us" if language == "en" else language) if texts else []


def says_any(text: list[Word], phrases: Sequence[list[Word]]) -> bool:
    """Whether a run of whole words in ``text`` sounds like one of ``phrases``: "go too" says "two", "tool" does not."""
    wanted = [_plain(phrase) for phrase in phrases]
    count = len(text)
    return any(_plain(text[start:end]) in wanted for start in range(count) for end in range(start + 1, count + 1))


def _parts(words: list[str]) -> list[str]:
    """Every run of words but the whole."""
    count = len(words)
    return [
        " ".join(words[start:end])
        for start in range(count)
        for end in range(start + 1, count + 1)
        if end - start < count
    ]


def _orders(words: list[str], rng: random.Random) -> list[str]:
    """The words in other orders, and one of them in place of every other."""
    orders = [list(order) for order in itertools.islice(itertools.permutations(words), 1, 200) if list(order) != words]
    doubled = [[word] * len(words) for word in words] if len(words) > 1 else []
    return [" ".join(order) for order in rng.sample(orders, min(len(orders), MOST_ORDERS)) + doubled]


def _exchanged_words(words: list[str], rng: random.Random) -> list[str]:
    """The phrase with one word in place of which stands a common one; none of a single word."""
    if len(words) < 2:
        return []
    texts = []
    for _ in range(EXCHANGED_WORDS):
        other = list(words)
        other[rng.randrange(len(words))] = rng.choice(COMMON_WORDS)
        texts.append(" ".join(other))
    return texts


def _nearest(word: Word, others: Sequence[list[Word]]) -> list[str]:
    """The common words, said as ``others``, whose phonemes are the fewest changes away from those of ``word``."""
    distances = [edit_distance(_plain([word]), _plain(other)) for other in others]
    order = sorted(range(len(others)), key=distances.__getitem__)
    return [COMMON_WORDS[index] for index in order if distances[index]][:NEAREST_WORDS]


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """How many insertions, deletions and exchanges make ``second`` of ``first`` (Levenshtein, 1966)."""
    row = list(range(len(second) + 1))
    for count, name in enumerate(first, 1):
        diagonal, row[0] = row[0], count
        for index, other in enumerate(second, 1):
            diagonal, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, diagonal + (name != other))
    return row[-1]


def _exchanged_sounds(said: list[Word], inventory: tuple[list[str], list[str]], rng: random.Random) -> list[list[Word]]:
    """``said`` with a phoneme, or two of ``LONG`` and more, exchanged for others of their kinds."""
    places = [(at, index) for at, word in enumerate(said) for index in range(len(word))]
    found = []
    for _ in range(EXCHANGED_SOUNDS if places else 0):
        other = [list(word) for word in said]
        for at, index in rng.sample(places, min(len(places), 1 + (len(places) >= LONG))):
            name = other[at][index]
            stress = name[: len(name) - len(name.lstrip(_STRESS))]
            other[at][index] = stress + rng.choice(inventory[not _is_vowel(name)] or [name])
        found.append(other)
    return found


def _inventory(texts: Sequence[list[Word]]) -> tuple[list[str], list[str]]:
    """The vowels and the consonants that occur in ``texts``, without stress."""
    names = {name.lstrip(_STRESS) for words in texts for word in words for name in word} - {""}
    names = {name for name in names if not _is_change(name)}
    vowels = sorted(filter(_is_vowel, names))
    return vowels, sorted(names - set(vowels))


def _is_change(name: str) -> bool:
    """Whether it stands for a change of language, "(en)", and for no sound."""
    return "(" in name


def _is_vowel(name: str) -> bool:
    return name.lstrip(_STRESS)[:1] in _VOWELS


def _plain(words: list[Word]) -> list[str]:
    """All phonemes in a row, without stress, borders of words and changes of language: what makes texts sound alike."""
    return [name.lstrip(_STRESS) for word in words for name in word if not _is_change(name)]
