"""Chooses the score that makes a detection: words found and false alarms of a stream against the threshold.

    python tools/stream_threshold.py --data DIR [--negatives DIR] [--model MODEL] [--minutes 30] [--seed 0]

Lays validation clips of the model's words, and of as many other words, over the validation stretch of a background
recording, feeds the stream to the C engine at each threshold, and prints one JSON object: the share of words found
(a detection of the word between its clip's start and one second after its end), wrong and repeated detections in the
stream by the hour, and detections by the hour in --negatives, recordings that hold none of the words on purpose.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np

from kws.data.audio import SAMPLE_RATE, read_audio
from kws.data.stream import Label, make_stream
from kws.data.tasks import BACKGROUND_STRETCH, Corpus, recordings, scan
from kws.engine import Engine, Event
from kws.model import load

THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
LATEST = SAMPLE_RATE
CLIPS_A_WORD = 100


def build(corpus: Corpus, words: list[str], seconds: float, seed: int) -> tuple[np.ndarray, list[Label]]:
    """The labelled stream, int16, from validation clips alone."""
    rng = random.Random(seed)
    others = [word for word in sorted(corpus.clips) if word not in words and not word.startswith("_")]
    chosen = [*words, *rng.sample(others, min(len(words), len(others)))]
    clips = {}
    for word in chosen:
        found = corpus.select(word, "validation")
        if found:
            clips[word] = [clip.read() for clip in rng.sample(found, min(CLIPS_A_WORD, len(found)))]
    path = corpus.backgrounds[seed % len(corpus.backgrounds)]
    noise = read_audio(path)
    low, high = (int(share * len(noise)) for share in BACKGROUND_STRETCH["validation"])
    return make_stream(clips, noise[low:high], seconds, seed)


def detections(engine: Engine, pcm: np.ndarray, threshold: float, delta: int) -> list[Event]:
    """Every event of the samples and a second of silence."""
    stream = engine.stream(delta, dict.fromkeys(engine.class_names[: engine.n_words], threshold))
    return stream.feed(np.concatenate([pcm, np.zeros(SAMPLE_RATE, np.int16)]))


def judge(events: list[Event], labels: list[Label], words: list[str]) -> tuple[int, int]:
    """Words found, and detections that are of no word said there or of one found already."""
    left = [label for label in labels if label.word in words]
    said, found = len(left), 0
    for event in events:
        sample = event.time * SAMPLE_RATE
        match = next((x for x in left if x.word == event.word and x.start <= sample <= x.end + LATEST), None)
        if match:
            left.remove(match)
            found += 1
    assert found <= said
    return found, len(events) - found


def main() -> None:
    """Sweeps and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--negatives", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    engine = Engine(load(options.model))
    words = engine.class_names[: engine.n_words]
    pcm, labels = build(scan(options.data), words, 60.0 * options.minutes, options.seed)
    said = sum(label.word in words for label in labels)
    negatives = [read_audio(path) for path in recordings(options.negatives)] if options.negatives else []
    hours = sum(map(len, negatives)) / SAMPLE_RATE / 3600
    rows = []
    for delta in engine.deltas:
        for threshold in THRESHOLDS:
            found, wrong = judge(detections(engine, pcm, threshold, delta), labels, words)
            row = {
                "depth": delta,
                "threshold": threshold,
                "found": round(found / said, 4),
                "wrong_or_repeated_per_hour": round(wrong / (options.minutes / 60), 1),
            }
            if negatives:
                alarms = sum(len(detections(engine, one, threshold, delta)) for one in negatives)
                row["false_accepts_per_hour_in_negatives"] = round(alarms / hours, 1)
            rows.append(row)
    print(json.dumps({"words_said": said, "minutes": options.minutes, "negative_hours": round(hours, 3), "rows": rows}))


if __name__ == "__main__":
    main()
