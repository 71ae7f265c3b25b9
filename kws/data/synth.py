"""A corpus without a microphone: words spoken by eSpeak NG, in the layout of Speech Commands.

Every variant of the synthesiser's voice is a speaker. Its id, eight hexadecimal digits of the SHA-1 of its name, is in
every file name, so the official split by speaker keeps the voices of training, validation and testing apart. Accent,
rate, pitch and intonation are drawn for each clip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from kws.data import espeak
from kws.data.audio import SAMPLE_RATE, to_int16
from kws.data.noise import KINDS, noise
from kws.data.splits import SPLITS, hash_split
from kws.data.tasks import BACKGROUND, recordings
from kws.errors import KwsError

MOST_CLIPS = 10000
NOISE_SECONDS = 60.0

# Variants that sound like people. eSpeak NG has more: robots, whispers and jokes, which teach a model nothing.
_VOICES = """
Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen Reed
RicishayMax RicishayMax2 RicishayMax3 adam anika antonio aunty belinda benjamin boris caleb david ed edward edward2
f1 f2 f3 f4 f5 grandma grandpa gustave ian iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 linda
m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel mike2 norbert pablo paul pedro quincy rob robert sandro shelby
steph steph2 steph3 travis victor zac
"""
VOICES = tuple(_VOICES.split())

# Other languages are spoken as they are named; English has these.
ACCENTS = {"en": ("en-us", "en", "en-us-nyc", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")}
_RATES, _PITCHES, _RANGES = (110, 210), (25, 75), (30, 75)

# Peaks and room noise of the finished clips, relative to full scale.
_PEAK_DB, _ROOM_DB = (-15.0, -1.0), (-75.0, -60.0)
_TRIM_DB = -45.0
_TRIM_FRAME = SAMPLE_RATE // 200

Progress = Callable[[str, int, int], None]
"""Called with a word, clips finished in all, and clips in all."""


def speaker_id(voice: str) -> str:
    """The id that stands for a synthesised voice in file names: 8 hexadecimal digits."""
    # Neural voices, which came later, share the salt: other ids would move voices to other splits.
    return hashlib.sha1(f"espeak-ng {voice}".encode()).hexdigest()[:8]


def voices_in_turn(names: Sequence[str]) -> list[str]:
    """``names`` in an order in which every split has its share early on, so that a small corpus has all three."""
    places: list[tuple[float, str]] = []
    for split in SPLITS:
        members = sorted((n for n in names if hash_split(f"{speaker_id(n)}_nohash_0.wav") == split), key=speaker_id)
        places += [((rank + 0.5) / len(members), name) for rank, name in enumerate(members)]
    return [name for _, name in sorted(places)]


def folder_name(word: str) -> str:
    """The folder of a word or phrase: its words joined by '_', since list files part names at spaces.

    Raises:
        KwsError: a word that cannot name a folder, or that holds nothing to say.
    """
    name = "_".join(word.split())
    if not any(letter.isalnum() for letter in name):
        raise KwsError(f"{word!r} holds nothing to say; give a word or a phrase in quotes.")
    if name[0] in "_.-" or any(letter in '/\\:*?"<>|' or not letter.isprintable() for letter in name):
        raise KwsError(f"{word!r} cannot name a folder; give letters, digits and spaces only.")
    return name


def check_request(count: int, seed: int) -> None:
    """Raises KwsError where ``count`` clips, or a ``seed``, cannot be asked for."""
    if not 1 <= count <= MOST_CLIPS:
        raise KwsError(f"--count {count} is out of range; give 1 to {MOST_CLIPS}.")
    if seed < 0:
        raise KwsError(f"--seed {seed} is negative; give 0 or more.")


def synthesise(
    words: Sequence[str],
    out: str | Path,
    *,
    count: int = 100,
    seed: int = 0,
    language: str = "en",
    noises: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Speaks ``count`` clips of every word to ``out/<word>/<speaker>_nohash_<n>.wav``, 16 kHz mono 16-bit.

    A clip is one second with the word in its middle; a phrase that takes longer keeps its whole length. The same
    arguments give the same files. A word's folder appears when complete.

    Args:
        words: words or phrases; the folder of "hey pi" is ``hey_pi``.
        out: the corpus, made if missing.
        count: clips a word, 1 to 10000.
        seed: of every draw, not negative.
        language: as eSpeak NG names it; "en" is spoken in several accents.
        noises: also write ``_background_noise_``: a minute each of white, pink and brown noise and of hum.
        replace: remove what a word's folder already holds.
        progress: told of every finished clip.

    Returns:
        The folders written.

    Raises:
        KwsError: no eSpeak NG, a language that it does not speak, a word that cannot be said or is given twice, a
            folder that already holds recordings (unless ``replace``), or a count or seed out of range.
    """
    check_request(count, seed)
    out = Path(out)
    names = word_folders(words, out, replace, [BACKGROUND] * noises)
    installed = set(espeak.variants())
    voices = voices_in_turn([name for name in VOICES if name in installed])
    if not voices:
        raise KwsError(f"The installed eSpeak NG has no voice variants; {espeak.REMEDY}.")
    out.mkdir(parents=True, exist_ok=True)
    finished = 0

    def tell(name: str) -> None:
        nonlocal finished
        finished += 1
        if progress:
            progress(name, finished, count * len(names))

    with ThreadPoolExecutor(min(len(names), os.cpu_count() or 1) or 1) as pool:
        jobs = [pool.submit(_write_word, name, out, voices, count, seed, language, tell) for name in names]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if noises:
        clips = {f"{kind}.wav": noise(kind, NOISE_SECONDS, seed) for kind in KINDS}
        write_folder(out / BACKGROUND, clips.items())
    return [out / name for name in names + [BACKGROUND] * noises]


def word_folders(words: Sequence[str], out: Path, replace: bool, others: Sequence[str] = ()) -> list[str]:
    """The folders of ``words`` in ``out``, in their order.

    Raises:
        KwsError: a word that cannot name one or is given twice, or, unless ``replace``, one of them or of ``others``
            that already holds recordings.
    """
    names = [folder_name(word) for word in words]
    for name in names:
        if names.count(name) > 1:
            raise KwsError(f"The word '{name}' is given twice; give each word once.")
    for name in (*names, *others):
        if not replace and (out / name).is_dir() and recordings(out / name):
            raise KwsError(f"{out / name}: already holds recordings; choose another --out, or --replace them.")
    return names


def _write_word(
    name: str, out: Path, voices: list[str], count: int, seed: int, language: str, tell: Callable[[str], None]
) -> None:
    text = name.replace("_", " ")
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    accents = ACCENTS.get(language, (language,))
    utterances = [
        espeak.Utterance(
            text,
            f"{rng.choice(accents)}+{voices[index % len(voices)]}",
            rate=int(rng.integers(*_RATES)),
            pitch=int(rng.integers(*_PITCHES)),
            range=int(rng.integers(*_RANGES)),
        )
        for index in range(count)
    ]
    rate, spoken = espeak.speak(utterances)

    def clips() -> list[tuple[str, NDArray[np.int16]]]:
        made = []
        for index, samples in enumerate(spoken):
            if not any(samples):
                raise KwsError(f"eSpeak NG says nothing for '{text}'; spell it another way.")
            variant = voices[index % len(voices)]
            file = f"{speaker_id(variant)}_nohash_{index // len(voices)}.wav"
            made.append((file, finish(np.asarray(samples, np.int16), rate, rng)))
            tell(name)
        return made

    write_folder(out / name, clips())


def finish(samples: NDArray[np.int16], rate: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """A raw utterance at ``rate`` Hz as a clip: 16 kHz, trimmed, at a drawn level, centred in 1 s of room noise."""
    wave = soxr.resample(samples / 32768.0, rate, SAMPLE_RATE, quality="HQ")
    wave = trim(wave)
    wave *= 10.0 ** (rng.uniform(*_PEAK_DB) / 20.0) / np.abs(wave).max()
    clip = np.zeros(max(len(wave), SAMPLE_RATE))
    start = (len(clip) - len(wave)) // 2
    clip[start : start + len(wave)] = wave
    # A recording is never digitally silent; a model that saw such silence around every word would wait for it.
    return to_int16(clip + 10.0 ** (rng.uniform(*_ROOM_DB) / 20.0) * rng.standard_normal(len(clip)))


def trim(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """``wave`` without what is below -45 dB of its loudest 5 ms, at both ends, in steps of 5 ms."""
    frames = -(-len(wave) // _TRIM_FRAME)
    padded = np.pad(wave, (0, frames * _TRIM_FRAME - len(wave)))
    power = np.mean(padded.reshape(frames, _TRIM_FRAME) ** 2, axis=1)
    loud = np.flatnonzero(power > power.max() * 10.0 ** (_TRIM_DB / 10.0))
    return padded[loud[0] * _TRIM_FRAME : (loud[-1] + 1) * _TRIM_FRAME] if len(loud) else wave


def write_folder(folder: Path, clips: Iterable[tuple[str, NDArray[np.int16]]]) -> None:
    """Writes (file name, int16 samples) pairs to a hidden folder that then takes the place of ``folder``."""
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, samples in clips:
        soundfile.write(staging / name, samples, SAMPLE_RATE, subtype="PCM_16")
    if folder.is_dir():
        shutil.rmtree(folder)
    staging.rename(folder)
