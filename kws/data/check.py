"""Looking through a folder of recordings before anything is trained on it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from kws.data.audio import SAMPLE_RATE, SUFFIXES
from kws.data.splits import SPLITS, TESTING_LIST, VALIDATION_LIST, speaker_of
from kws.data.tasks import BACKGROUND, SILENCE, Clip, scan

SHORTEST_SECONDS = 0.25
LONGEST_SECONDS = 1.1
QUIET_DB = -60.0
"""RMS of the loudest tenth of a second, relative to full scale, below which a clip holds no word."""
CLIPPED_SHARE = 0.001
"""Share of samples at full scale from which a clip counts as clipped: sixteen samples in a second."""

SKIPPED = "skipped"
"""How the action of a finding starts where training and evaluation leave the file out."""

_FULL_SCALE = 32767 / 32768
_WORKERS = 4

Progress = Callable[[int, int], None]
"""Called with files looked at, and files in all."""


@dataclass(frozen=True)
class Finding:
    """Something to know about one file or folder.

    Attributes:
        kind: what it is, in a few words, such as "unreadable", "silent" or "duplicate".
        path: relative to the report's root.
        detail: the measurement, in words.
        action: what training and evaluation do with it; starts with "skipped" where they leave it out.
    """

    kind: str
    path: str
    detail: str
    action: str


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        root: the folder that holds the word folders.
        lists: whether the folder's own lists make the split of the clips they name; the speaker's hash makes the rest.
        counts: clips by word and split, those that are skipped included.
        backgrounds: recordings in ``_background_noise_``.
        files: recordings looked at.
        seconds: of sound in all.
        findings: in the order of `path`.
    """

    root: Path
    lists: bool
    counts: dict[str, dict[str, int]]
    backgrounds: int
    files: int
    seconds: float
    findings: list[Finding]

    def skipped(self) -> list[Finding]:
        """The findings about files that training and evaluation leave out."""
        return [finding for finding in self.findings if finding.action.startswith(SKIPPED)]

    def as_dict(self) -> dict[str, Any]:
        """The report as what JSON holds."""
        fields = asdict(self)
        return fields | {"root": str(self.root), "seconds": round(self.seconds, 1), "skipped": len(self.skipped())}


@dataclass(frozen=True)
class _Measure:
    """One file. ``fault`` is a kind of finding where the file cannot be used, and the rest is then as far as known."""

    fault: str = ""
    detail: str = ""
    rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    loudest_db: float = -np.inf
    clipped: float = 0.0
    digest: bytes = b""


def check(folder: str | Path, progress: Progress | None = None) -> Report:
    """Opens every recording under ``folder`` (Speech Commands, its root, or plain word folders) and reports.

    Args:
        folder: as `kws.data.tasks.scan` takes it.
        progress: told of every file.

    Raises:
        KwsError: no such folder, no word folder in it, or a word folder without a recording.
    """
    corpus = scan(folder)
    root = corpus.root
    lists = any((root / name).is_file() for name in (VALIDATION_LIST, TESTING_LIST))
    clips = [clip for word in corpus.clips for clip in corpus.clips[word]]
    clips += [Clip(path, BACKGROUND, "all") for path in corpus.backgrounds]
    findings: list[Finding] = []
    measures: list[_Measure] = []
    # Decoding and hashing leave Python's lock; the pool, unlike an executor, ends at once on Ctrl-C.
    with ThreadPool(min(_WORKERS, os.cpu_count() or 1)) as pool:
        for clip, measure in zip(clips, pool.imap(_measure, [clip.path for clip in clips], 16), strict=True):
            measures.append(measure)
            path = str(clip.path.relative_to(root))
            findings += [Finding(kind, path, detail, action) for kind, detail, action in _judge(clip, measure)]
            if progress:
                progress(len(measures), len(clips))
    findings += _duplicates(root, clips, measures)
    findings += _divided_speakers(root, clips)
    findings += _strangers(root, list(corpus.clips))
    counts = {
        word: {split: sum(clip.split == split for clip in corpus.clips[word]) for split in SPLITS}
        for word in corpus.clips
    }
    findings += [
        Finding(f"no {split} clip", word, f"0 of {sum(by_split.values())} clips", "kept; record more speakers")
        for word, by_split in counts.items()
        for split in SPLITS
        if by_split[split] == 0
    ]
    findings.sort(key=lambda finding: (finding.path, finding.kind))
    seconds = sum(measure.seconds for measure in measures)
    return Report(root, lists, counts, len(corpus.backgrounds), len(clips), seconds, findings)


def _measure(path: Path) -> _Measure:
    try:
        if path.stat().st_size == 0:
            return _Measure("empty", "0 bytes")
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        return _Measure("unreadable", getattr(error, "error_string", "") or str(error))
    if len(samples) == 0:
        return _Measure("empty", "0 samples")
    channels, seconds = samples.shape[1], len(samples) / rate
    if not np.isfinite(samples).all():
        count = int((~np.isfinite(samples)).sum())
        return _Measure("not finite", f"{count} samples are NaN or infinite", rate, channels, seconds)
    # Rate and shape belong to the content: the same bytes at another rate are another sound.
    digest = hashlib.sha256(f"{rate} {channels} ".encode() + samples.tobytes()).digest()
    clipped = float((np.abs(samples) >= _FULL_SCALE).mean())
    return _Measure("", "", rate, channels, seconds, _loudest_db(samples.mean(axis=1), rate), clipped, digest)


def _loudest_db(samples: np.ndarray[Any, np.dtype[np.float32]], rate: int) -> float:
    """RMS of the loudest tenth of a second in dB relative to full scale; -inf for digital silence."""
    frame = max(1, min(len(samples), rate // 10))
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = float(np.mean(frames.astype(np.float64) ** 2, axis=1).max())
    return 10.0 * float(np.log10(power)) if power > 0 else -np.inf


def _judge(clip: Clip, measure: _Measure) -> list[tuple[str, str, str]]:
    """(kind, detail, action) of everything to say about one file alone."""
    if measure.fault:
        return [(measure.fault, measure.detail, f"{SKIPPED}; remove it or record it again")]
    said: list[tuple[str, str, str]] = []
    if measure.rate != SAMPLE_RATE:
        said.append(("other rate", f"{measure.rate} Hz", f"resampled to {SAMPLE_RATE} Hz"))
    if measure.channels != 1:
        said.append(("not mono", f"{measure.channels} channels", "mixed to one channel"))
    if measure.clipped >= CLIPPED_SHARE:
        said.append(("clipped", f"{100 * measure.clipped:.1f} % of samples at full scale", "kept"))
    if clip.word == BACKGROUND:
        if measure.seconds < 1.0:
            said.append(("short", f"{measure.seconds:.2f} s", "not cut into silence, which takes 1 s or more"))
        return said
    if speaker_of(clip.path.name) is None:
        said.append(("no speaker id", "not <speaker>_nohash_<n>", "kept; unlisted, its split is by its name's hash"))
    if clip.word == SILENCE:
        return said
    if measure.loudest_db == -np.inf:
        said.append(("silent", "digital silence", f"{SKIPPED} in training; remove it or record it again"))
    elif measure.loudest_db < QUIET_DB:
        said.append(("nearly silent", f"loudest 0.1 s at {measure.loudest_db:.0f} dB", "kept; listen to it"))
    if measure.seconds < SHORTEST_SECONDS:
        said.append(("short", f"{measure.seconds:.2f} s", "kept, padded with silence to 1 s"))
    elif measure.seconds > LONGEST_SECONDS:
        said.append(("long", f"{measure.seconds:.2f} s", "cut after its first second"))
    return said


def _duplicates(root: Path, clips: list[Clip], measures: list[_Measure]) -> list[Finding]:
    """A finding for each file whose sound an earlier file has too; digital silence is not called a duplicate."""
    same: dict[bytes, list[Clip]] = defaultdict(list)
    for clip, measure in zip(clips, measures, strict=True):
        if measure.digest and measure.loudest_db > -np.inf:
            same[measure.digest].append(clip)
    findings = []
    for first, *others in same.values():
        for other in others:
            detail = f"same sound as {first.path.relative_to(root)}"
            action = "kept, counts twice; remove one"
            if other.word != first.word:
                detail += ", under another word"
                action = "kept, contradicts the other; remove the wrong one"
            if other.split != first.split:
                detail += f", in another split ({first.split}; this: {other.split})"
                action += ", or figures flatter" if other.word == first.word else ""
            findings.append(Finding("duplicate", str(other.path.relative_to(root)), detail, action))
    return findings


def _divided_speakers(root: Path, clips: list[Clip]) -> list[Finding]:
    """A finding for each speaker id with clips in more than one split, as a folder's own lists can make it."""
    speakers: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if speaker := speaker_of(clip.path.name):
            speakers[speaker].append(clip)
    findings = []
    for speaker, theirs in speakers.items():
        parts = Counter(clip.split for clip in theirs)
        if len(parts) > 1:
            detail = f"speaker {speaker} has " + " and ".join(f"{parts[s]} {s}" for s in SPLITS if parts[s]) + " clips"
            path = str(theirs[0].path.relative_to(root))
            findings.append(Finding("divided speaker", path, detail, "kept, figures flatter; mend the lists"))
    return findings


def _strangers(root: Path, words: list[str]) -> list[Finding]:
    """A finding for each file in a word's folder that is no recording by its name."""
    findings = []
    for word in words:
        for path in sorted((root / word).iterdir()):
            if not path.name.startswith(".") and not (path.is_file() and path.suffix.lower() in SUFFIXES):
                detail = "a folder" if path.is_dir() else f"not {', '.join(SUFFIXES)}"
                findings.append(
                    Finding("not a recording", str(path.relative_to(root)), detail, f"{SKIPPED}; convert it")
                )
    return findings
