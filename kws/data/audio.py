"""Recordings: any file that libsndfile reads becomes 16 kHz mono 16-bit samples, and those become WAV files."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from kws.errors import KwsError
from kws.files import write_atomically

SAMPLE_RATE = 16000
SUFFIXES = (".wav", ".flac", ".ogg")


def to_int16(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    """Float samples in -1..1 as int16, rounded and saturated; the shape is kept."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def to_mono_16k(samples: NDArray[np.float32], rate: int) -> NDArray[np.int16]:
    """Float samples [n] or [n, channels] at ``rate`` Hz as int16 [m] at 16 kHz: channels averaged, soxr resampling."""
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")
    return to_int16(samples)


def read_audio(path: str | Path, start: int = 0, count: int | None = None) -> NDArray[np.int16]:
    """The recording at ``path`` as int16 [n] at 16 kHz mono, whatever its rate and channels.

    Args:
        path: of the file.
        start: first sample at 16 kHz to return.
        count: most samples to return; None for all. A stretch of a long 16 kHz recording is read without the rest.

    Raises:
        KwsError: the file is missing, is not audio, holds no sample, or holds samples that are not finite.
    """
    path = Path(path)
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "no such file"
            raise KwsError(f"{path}: {what}; give the path of a {', '.join(SUFFIXES)} recording.")
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            as_it_is = rate == SAMPLE_RATE
            if as_it_is:
                file.seek(min(start, file.frames))
            samples = file.read(-1 if count is None or not as_it_is else count, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:  # libsndfile's errors are RuntimeErrors
        raise KwsError(f"{path}: not a readable recording ({error}); remove it or record it again.") from error
    if len(samples) == 0:
        raise KwsError(f"{path}: holds no sample; remove it or record it again.")
    if not np.isfinite(samples).all():
        raise KwsError(f"{path}: holds samples that are not numbers (NaN or infinite); export it again as 16-bit PCM.")
    pcm = to_mono_16k(samples, rate)
    return pcm if as_it_is else pcm[start:][:count]


def write_wav(path: Path, pcm: NDArray[np.int16]) -> None:
    """Writes int16 [n] at 16 kHz as a 16-bit WAV file that nobody ever sees half of.

    Raises:
        KwsError: as ``write_atomically`` does.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    write_atomically(path, buffer.getvalue())


def level_dbfs(pcm: NDArray[np.int16] | NDArray[np.float64]) -> float:
    """The root-mean-square level of samples on the int16 scale in dB below full scale, at least -100.0 (silence)."""
    if len(pcm) == 0:
        return -100.0
    power = float(np.mean(np.square(pcm.astype(np.float64) / 32768.0)))
    return 10.0 * math.log10(max(power, 1e-10))
