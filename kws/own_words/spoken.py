"""What a project's voices say: the words, what is near them, and running speech of common words.

Written as ``kws data synth`` writes, a speaker a voice, so that the split by speaker keeps voices apart. Each clip of
eSpeak NG draws its accent, rate, pitch, intonation, and the size of the speaker's head: played at up to a ninth more or
fewer samples a second, every formant moves with it (vocal tract length perturbation; Jaitly and Hinton, ICML 2013).
Neural voices are few, so their heads differ by up to a quarter, as a child's does from a man's.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.data import espeak, neural
from kws.data.noise import KINDS, noise
from kws.data.splits import hash_split
from kws.data.synth import (
    ACCENTS,
    NOISE_SECONDS,
    VOICES,
    Progress,
    check_request,
    finish,
    folder_name,
    speaker_id,
    voices_in_turn,
    word_folders,
    write_folder,
)
from kws.data.tasks import BACKGROUND, recordings
from kws.errors import KwsError
from kws.files import write_atomically
from kws.own_words.common import COMMON_WORDS
from kws.own_words.near import near_phrases, says_any, sounds_of
from kws.own_words.project import Project

NEAR, SPEECH = "_near_", "_speech_"
ABOUT = "about.json"
"""What the folder was spoken for."""
TEXTS = 3
"""Raised where other texts are said for the same words, or in other ways: near phrases of 1 could hold a word of the
project, sentences of 2 an English word that sounds like one.
"""

CLIPS_A_WORD = 600
CLIPS_NEAR = 600
CLIPS_OF_SPEECH = 1600
CLIPS_OF_SPEECH_BESIDE_DATA = 400

NEURAL_CLIPS_A_WORD = 600
NEURAL_CLIPS_NEAR = 300
NEURAL_CLIPS_OF_SPEECH = 300
MOST_SPEAKERS = 2
"""A neural voice says so many of each, and one of several speakers as many times more, up to this often."""

_RATES, _PITCHES, _RANGES = (110, 230), (20, 85), (25, 80)
_HEADS, _NEURAL_HEADS = (0.9, 1.11), (0.8, 1.25)
_WORDS_A_SENTENCE = (3, 8)
_BATCH = 50
"""Utterances a process: the synthesiser starts in a tenth of a second, and progress shows after each."""

Said = tuple[str, NDArray[np.int16]]
"""A file's name and its clip, int16 [n] at 16 kHz."""


def speak_project(project: Project, progress: Progress | None = None) -> list[Path]:
    """Speaks what ``project.spoken`` does not hold yet; each folder appears when complete.

    Returns:
        The folders written now.

    Raises:
        KwsError: no eSpeak NG, a language or word that it cannot speak, or a neural voice that cannot be used.
    """
    voices = neural.voices(project.language, project.voices)
    outdated = is_outdated(project, voices) or not project.spoken.is_dir()
    folders = (*project.classes, NEAR, SPEECH)
    missing = [name for name in folders if outdated or not _holds(project.spoken / name)]
    for voice in voices if missing else []:
        voice.load(0)  # one that cannot be used is told of before anything is said or removed
    if outdated:
        shutil.rmtree(project.spoken, ignore_errors=True)
        project.spoken.mkdir(parents=True)
        write_atomically(
            project.spoken / ABOUT, (json.dumps(_about(project, voices), ensure_ascii=False) + "\n").encode()
        )
    total = sum(_amount(project, name) for name in missing)
    total += sum(_neural_amount(name, voice) for name in missing for voice in voices)
    written, done = [], 0
    for name in missing:
        texts = list(_texts(project, name, _amount(project, name)))
        neural_texts = [
            (voice, list(_texts(project, name, _neural_amount(name, voice), voice.name))) for voice in voices
        ]
        said = _say_all(name, texts, neural_texts, project.language, project.seed)
        clips = list(_told(said, name, done, total, progress))
        write_folder(project.spoken / name, clips)
        written.append(project.spoken / name)
        done += len(clips)
    background = project.spoken / BACKGROUND
    if not _holds(background):
        write_folder(background, [(f"{kind}.wav", noise(kind, NOISE_SECONDS, project.seed)) for kind in KINDS])
        written.append(background)
    return written


def _amount(project: Project, name: str) -> int:
    """Clips of a folder by eSpeak NG."""
    if name == SPEECH:
        return CLIPS_OF_SPEECH if project.data is None else CLIPS_OF_SPEECH_BESIDE_DATA
    return CLIPS_NEAR if name == NEAR else CLIPS_A_WORD


def _neural_amount(name: str, voice: neural.Voice) -> int:
    """Clips of a folder by ``voice``."""
    once = {NEAR: NEURAL_CLIPS_NEAR, SPEECH: NEURAL_CLIPS_OF_SPEECH}.get(name, NEURAL_CLIPS_A_WORD)
    return once * min(voice.speakers, MOST_SPEAKERS)


def speak_sentences(
    without: Sequence[str],
    out: Path,
    count: int,
    seed: int = 0,
    language: str = "en",
    replace: bool = False,
    progress: Progress | None = None,
    voices: Sequence[neural.Voice] = (),
) -> tuple[int, list[str]]:
    """Speaks ``count`` sentences of common words, in which no word of ``without`` is heard, to ``out/*.wav``.

    The folder appears when complete. The same arguments give the same files.

    Args:
        replace: write into a folder of recordings, and remove those.
        progress: told of every finished sentence.
        voices: that say half of the sentences, as many each, if there is one for each; eSpeak NG says the others.

    Returns:
        Sentences there are, fewer than asked for where a neural voice says nothing for one; and the voices that spoke.

    Raises:
        KwsError: ``out`` is not empty (unless ``replace``) or holds more than recordings, no eSpeak NG, a language or
            word that it cannot speak, or a neural voice that cannot be used.
    """
    check_request(count, seed)
    for word in without:
        folder_name(word)
    out = out.resolve()
    held = set(out.iterdir()) if out.exists() else set()
    if held and not replace:
        raise KwsError(f"{out}: is not empty; choose another --out, or --replace the recordings in it.")
    if others := held - set(recordings(out) if held else []):
        raise KwsError(f"{out}: holds {min(others).name}, which is no recording; choose another --out.")
    each = count // 2 // len(voices) if voices else 0
    voices = voices if each else ()
    for voice in voices:
        voice.load(0)  # one that cannot be used is told of before anything is said
    texts = list(_sentences(without, count - each * len(voices), seed, language))
    neural_texts = [(voice, list(_sentences(without, each, seed, language, voice.name))) for voice in voices]
    clips = list(_told(_say_all(SPEECH, texts, neural_texts, language, seed), "sentences", 0, count, progress))
    write_folder(out, clips)
    return len(clips), ["eSpeak NG", *(voice.name for voice in voices)]


def speak_words(
    words: Sequence[str],
    out: Path,
    count: int,
    voices: Sequence[neural.Voice],
    seed: int = 0,
    replace: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Has neural voices alone say every word ``count`` times, to ``out/<word>/<speaker>_nohash_<n>.wav``.

    A word's folder appears when complete. The same arguments give the same files.

    Args:
        words: words or phrases; the folder of "hey pi" is ``hey_pi``.
        voices: that share the clips, as many each.
        replace: remove what a word's folder already holds.
        progress: told of every finished clip.

    Returns:
        The voices that spoke.

    Raises:
        KwsError: no voice or more of them than clips, a word that cannot be said or is given twice, or a folder that
            already holds recordings (unless ``replace``).
    """
    check_request(count, seed)
    if not voices:
        raise KwsError(f"No neural voice is installed; run {neural.REMEDY}, or give one with --voice.")
    if count < len(voices):
        raise KwsError(f"--count {count} is fewer than the {len(voices)} neural voices; give at least one clip each.")
    names = word_folders(words, out, replace)
    shares = [len(range(turn, count, len(voices))) for turn in range(len(voices))]
    for done, (name, word) in enumerate(zip(names, words, strict=True)):
        said = _say_by_networks(name, [(v, [word] * share) for v, share in zip(voices, shares, strict=True)], seed)
        write_folder(out / name, _told(said, name, done * count, len(words) * count, progress))
    return [voice.name for voice in voices]


def _told(clips: Iterable[Said], name: str, done: int, total: int, progress: Progress | None) -> Iterator[Said]:
    """``clips``, each of them told to ``progress``: ``done`` before the first, and ``total`` in all."""
    for count, clip in enumerate(clips, done + 1):
        if progress:
            progress(name, count, total)
        yield clip


def is_outdated(project: Project, voices: Sequence[neural.Voice]) -> bool:
    """Whether what is spoken there was for other words, in another language, by other neural voices or by an earlier
    kws: near words and sentences depend on all of these.
    """
    try:
        known = json.loads((project.spoken / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return project.spoken.is_dir()
    return bool(known != _about(project, voices))


def _about(project: Project, voices: Sequence[neural.Voice]) -> dict[str, object]:
    about: dict[str, object] = {"texts": TEXTS, "words": list(project.words)}
    about |= {"language": project.language, "seed": project.seed}
    # Nothing where there is none, as before there were any.
    return about | ({"voices": {voice.name: voice.digest() for voice in voices}} if voices else {})


def _holds(folder: Path) -> bool:
    return folder.is_dir() and bool(recordings(folder))


def _texts(project: Project, name: str, count: int, neural_voice: str = "") -> Iterator[str]:
    """What the ``count`` clips of a folder say; a neural voice draws its own, and says no phonemes."""
    if name == SPEECH:
        yield from _sentences(project.words, count, project.seed, project.language, neural_voice)
    elif name == NEAR:
        # A word's near phrases may hold another of the project's words.
        near = [near_phrases(word, project.language, project.seed, project.words) for word in project.words]
        texts = [text for phrases in near for text in phrases if not (neural_voice and text.startswith("[["))]
        rng = random.Random(f"{project.seed} near{neural_voice}")
        yield from (texts[index % len(texts)] for index in _turns(len(texts), count, rng))
    else:
        word = next(word for word in project.words if folder_name(word) == name)
        yield from [word] * count


def _turns(size: int, count: int, rng: random.Random) -> list[int]:
    """``count`` indices below ``size``, each about equally often."""
    rounds = [rng.sample(range(size), size) for _ in range(-(-count // size))]
    return [index for turn in rounds for index in turn][:count]


def _sentences(without: Sequence[str], count: int, seed: int, language: str, neural_voice: str = "") -> Iterator[str]:
    """Common words in a row, in which none of ``without`` is heard."""
    rng = random.Random(f"{seed} sentences{neural_voice}")
    said = dict(zip(COMMON_WORDS, sounds_of(COMMON_WORDS, language), strict=True))
    unwanted = sounds_of(without, language)
    for _ in range(count):
        while True:
            words = rng.choices(COMMON_WORDS, k=rng.randint(*_WORDS_A_SENTENCE))
            if not says_any([sound for word in words for sound in said[word]], unwanted):
                yield " ".join(words)
                break


def _say_all(
    name: str,
    texts: Sequence[str],
    neural_texts: Sequence[tuple[neural.Voice, Sequence[str]]],
    language: str,
    seed: int,
) -> Iterator[Said]:
    """The clips of a folder: ``texts`` by eSpeak NG, then what each neural voice of ``neural_texts`` says."""
    yield from _say(texts, language, np.random.default_rng([seed, *name.encode()]))
    yield from _say_by_networks(name, neural_texts, seed)


def _say_by_networks(
    name: str, neural_texts: Sequence[tuple[neural.Voice, Sequence[str]]], seed: int
) -> Iterator[Said]:
    """What each neural voice says of the clips of a folder."""
    for voice, theirs in neural_texts:
        rng = np.random.default_rng([seed, *name.encode(), *voice.name.encode()])
        # Nobody asked for the very texts of these two.
        yield from _say_neural(theirs, voice, rng, required=name not in (NEAR, SPEECH))


def _say(texts: Sequence[str], language: str, rng: np.random.Generator) -> Iterator[Said]:
    """The clips of ``texts``, each by the next voice."""
    installed = set(espeak.variants())
    voices = voices_in_turn([name for name in VOICES if name in installed])
    if not voices:
        raise KwsError(f"The installed eSpeak NG has no voice variants; {espeak.REMEDY}.")
    accents = ACCENTS.get(language, (language,))
    for start in range(0, len(texts), _BATCH):
        utterances = [
            espeak.Utterance(
                text,
                f"{rng.choice(accents)}+{voices[(start + index) % len(voices)]}",
                rate=int(rng.integers(*_RATES)),
                pitch=int(rng.integers(*_PITCHES)),
                range=int(rng.integers(*_RANGES)),
            )
            for index, text in enumerate(texts[start : start + _BATCH])
        ]
        rate, spoken = espeak.speak(utterances)
        for index, (utterance, samples) in enumerate(zip(utterances, spoken, strict=True), start):
            if not any(samples):
                raise KwsError(f"eSpeak NG says nothing for '{utterance.text}'; spell it another way.")
            name = f"{speaker_id(voices[index % len(voices)])}_nohash_{index // len(voices)}.wav"
            yield name, finish(np.asarray(samples, np.int16), round(rate * rng.uniform(*_HEADS)), rng)


def _say_neural(texts: Sequence[str], voice: neural.Voice, rng: np.random.Generator, required: bool) -> Iterator[Said]:
    """The clips of ``texts`` by ``voice``, its speakers in turn; without those for which it says nothing, unless they
    are ``required``.
    """
    say = voice.load(int(rng.integers(2**31)))
    for index, text in enumerate(texts):
        speaker = index % voice.speakers
        rate, samples = say(text, speaker, rng)
        if not samples.any():
            if not required:
                continue
            raise KwsError(f"The voice '{voice.name}' says nothing for '{text}'; spell it another way.")
        file = f"{_neural_speaker(voice, speaker)}_nohash_{index // voice.speakers}.wav"
        yield file, finish(samples, round(rate * rng.uniform(*_NEURAL_HEADS)), rng)


def _neural_speaker(voice: neural.Voice, speaker: int) -> str:
    """The id of a voice's speaker; that of an only one falls into training, since it is there to be learned from."""
    ids = (speaker_id(f"{voice.name} {speaker}" + f" {turn}" * (turn > 0)) for turn in itertools.count())
    return next(one for one in ids if voice.speakers > 1 or hash_split(f"{one}_nohash_0.wav") == "training")
