"""The network and the stream's decision in plain numpy: the independent truth that the C engine is tested against.

Written from the definition of the arithmetic in kws.h, with unpacked +1/-1 arrays and integers that cannot overflow.
The few float arrays are float32, so that each numpy operation rounds once, in the order the definition gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from kws.engine import Engine
from kws.model.folded import FoldedModel, FoldedPass

F32 = np.float32
Integers = NDArray[np.int64]


def network(
    model: FoldedModel, log_mel: NDArray[np.float32], delta: int
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Logits [n_classes] and every integer accumulator, flat, of a log-mel map, float32 [n_mels, frames] in dB."""
    depth = next(depth for depth in model.depths if depth.delta == delta)
    image = quantize(log_mel.T, F32(model.preset.offset), F32(model.preset.scale * 40))  # time first, as the taps are
    sums = sum(tap[:, :, None] * weight for weight, tap in zip(wide(model.conv1_weight), taps(image, 0), strict=True))
    inputs = levels(sums >= edge for edge in model.conv1_threshold)
    weight, most = wide(model.conv2_weight), 3 if model.planes == 2 else 1
    conv2 = sum(tap @ weight[:, index].T for index, tap in enumerate(taps(inputs, -most)))
    inputs = levels(differing(conv2, 400 * most) < edge for edge in model.conv2_below)  # [T, M, 32]
    acc = inputs.reshape(model.time_steps, -1) @ wide(model.linear_weight).T
    x = branch(acc, 8 * model.preset.n_mels * most, model.linear_scale, model.linear_bias, model.linear_slope)
    trace = [conv2, acc]
    for one in depth.passes:
        x, more = run_pass(model, one, x)
        trace += more
    narrow = np.clip((x + 32) >> 6, -128, 127)
    total = (wide(model.class_weight) * narrow).sum(axis=(1, 2))
    assert np.abs(total).max() < 2**31
    logits = depth.class_scale * total.astype(F32) + depth.class_bias
    return logits, np.concatenate([sums.reshape(-1) for sums in trace]).astype(np.int16)


def levels(passed: Iterable[NDArray]) -> Integers:
    """What a layer multiplies, from the edges that its input has passed: +-1, or 2 p + q of the planes p and q."""
    first, *others = passed
    if not others:
        return np.where(first, 1, -1)
    above, below = others
    return np.where(first, np.where(above, 3, 1), np.where(below, -1, -3))


def wide(array: NDArray) -> Integers:
    return array.astype(np.int64)


def quantize(decibels: NDArray[np.float32], offset: np.float32, scale: np.float32) -> Integers:
    """The nearest step, halves up, in eight bits."""
    value = (decibels - offset) * scale
    value = np.where(value >= F32(-128), np.minimum(value, F32(127)), F32(-128))  # NaN compares false
    return np.floor(value + F32(128.5)).astype(np.int64) - 128


def taps(image: NDArray, fill: int) -> Iterator[NDArray]:
    """The 25 inputs of a 5x5 convolution of stride 2, first axis outer; ``fill`` where they lie outside."""
    padded = np.pad(image, [(2, 2), (2, 2)] + [(0, 0)] * (image.ndim - 2), constant_values=fill)
    height, width = image.shape[0], image.shape[1]
    for row in range(5):
        for column in range(5):
            yield padded[row : row + height : 2, column : column + width : 2]


def differing(acc: Integers, inputs: int) -> Integers:
    """How many of the inputs differ from their weights, from the dot product of +1s and -1s."""
    assert not ((inputs - acc) % 2).any()
    return (inputs - acc) // 2


def saturate(values: Integers) -> Integers:
    return np.clip(values, -32768, 32767)


def mulr(a: Integers, b: Integers) -> Integers:
    """a * b / 2**15, rounded half up."""
    return saturate(np.floor_divide(2 * wide(a) * wide(b) + 2**15, 2**16))


def shift(inputs: int) -> int:
    """The most that a count of ``inputs`` may be doubled to stay within 2**15."""
    return max(count for count in range(16) if inputs * 2**count <= 2**15)


def branch(acc: Integers, inputs: int, scale: NDArray, bias: NDArray, slope: NDArray) -> Integers:
    """A layer's contribution to the stream."""
    count = np.minimum(differing(acc, inputs) * 2 ** shift(inputs), 32767)
    value = saturate(wide(bias) - mulr(count, scale))
    return np.where(value >= 0, value, np.maximum(value, mulr(value, slope)))


def run_pass(model: FoldedModel, one: FoldedPass, x: Integers) -> tuple[Integers, list[Integers]]:
    block, most = model.blocks[one.block], 3 if model.planes == 2 else 1
    inputs = np.pad(levels(x >= edge for edge in block.memory_input), [(2, 2), (0, 0)], constant_values=-most)
    memory = sum(block.memory_weight[k] * inputs[k : k + len(x)] for k in range(5))
    x = saturate(x + branch(memory, 5 * most, one.memory_scale, one.memory_bias, block.memory_slope))
    expand = levels(x >= edge for edge in block.expand_input) @ wide(block.expand_weight).T
    count = differing(expand, model.channels * most)
    hidden = levels((count < edge) ^ one.expand_flip for edge in one.expand_below)
    project = hidden @ wide(block.project_weight).T
    x = saturate(x + branch(project, model.hidden * most, one.project_scale, one.project_bias, block.project_slope))
    return x, [memory, expand, project]


class Decision:
    """Smoothing, thresholds, refractory time and re-arming, from the probabilities of one window at a time.

    Attributes:
        thresholds: float32 [n_depths, n_words], as set.
        sensitivity: as set for every word, and for the wake threshold.
        sensitivities, refractory: of each word, as set; the latter in samples.
        release, smoothing: as set.
    """

    def __init__(self, model: FoldedModel) -> None:
        self.model = model
        self.thresholds = model.word_threshold.copy()
        self.sensitivity, self.sensitivities = 0.5, [0.5] * model.n_words
        self.refractory = [model.refractory] * model.n_words
        self.release, self.smoothing = model.release, model.smoothing
        self.start()

    def start(self) -> None:
        """As at the start of a stream; settings stay."""
        self.recent: list[NDArray[np.float32]] = []
        self.last: dict[int, int] = {}
        self.disarmed: set[int] = set()
        self.risen = [0] * self.model.n_words  # windows since a word's score was low
        self.scores = np.zeros(self.model.n_classes, F32)

    def limit(self, threshold: float, sensitivity: float) -> np.float32:
        """The threshold with the sensitivity: its logit moves by 8 from one end to the other."""
        if threshold in (0.0, 1.0) or threshold > 1 or sensitivity == 0.5:
            return F32(threshold)
        logit = np.log(threshold / (1 - np.float64(threshold))) + 8 * (0.5 - sensitivity)
        return F32(1 / (1 + np.exp(-logit)))

    def step(self, sample: int, probabilities: NDArray[np.float32], row: int = 0) -> tuple[int, int, float] | None:
        """(sample, word, score) if an event happens at ``sample``, by the thresholds of depth number ``row``."""
        model = self.model
        self.recent.append(probabilities)
        newest = self.recent[-self.smoothing :]
        total = np.zeros(model.n_classes, F32)
        for one in newest:
            total = total + one
        self.scores = total / F32(len(newest))
        limits = [
            self.limit(float(threshold), sensitivity)
            for threshold, sensitivity in zip(self.thresholds[row], self.sensitivities, strict=True)
        ]
        if len(newest) < self.smoothing:
            return None
        low = [bool(self.scores[word] < F32(self.release) * limits[word]) for word in range(model.n_words)]
        self.disarmed -= {word for word in self.disarmed if low[word]}
        self.risen = [0 if low[word] else self.risen[word] + 1 for word in range(model.n_words)]
        best = int(np.argmax(self.scores))
        if self.scores[best] == 0:
            return None
        if best >= model.n_words or self.scores[best] < limits[best]:
            return None
        if not self.is_ready(best, sample):
            return None
        self.disarmed.add(best)
        self.last[best] = sample
        return sample, best, float(self.scores[best])

    def is_refractory(self, word: int, sample: int) -> bool:
        """Whether the word's last event is too recent for another at ``sample``."""
        return word in self.last and sample - self.last[word] < self.refractory[word]

    def is_ready(self, word: int, sample: int) -> bool:
        """Whether, after the windows so far, the word may make an event at ``sample``."""
        late = self.risen[word] > self.smoothing // 2 + 2
        return word not in self.disarmed and not late and not self.is_refractory(word, sample)


class Simulation:
    """A whole stream, from the engine's own windows: features and network are tested elsewhere, this tests the stream.

    Attributes:
        delta: depth that decides.
        listen: depth that wakes it; None where every window is decided at ``delta``.
        wake, gate: as set.
        decision: the settings of the decision, and what the stream last decided.
        classified: windows by depth; 0: those that none classified.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.delta = engine.deltas[0]
        self.listen = engine.model.listen_delta or None
        self.wake, self.gate = engine.model.wake, engine.model.gate
        self.decision = Decision(engine.model)
        self.reset()

    def reset(self) -> None:
        self.decision.start()
        self.heard = np.zeros(0, np.int16)
        self.quiet = False
        self.classified = dict.fromkeys((0, *self.engine.deltas), 0)

    def level(self) -> float:
        """RMS of the loudest hop among those of the window's frames, dBFS."""
        preset = self.engine.preset
        whole = self.heard[: len(self.heard) // preset.hop * preset.hop].astype(np.float64) / 32768
        hops = whole.reshape(-1, preset.hop)[-preset.frames :]
        return max([-100.0, *(10 * np.log10(np.maximum((hops**2).mean(axis=1), 1e-10)))])

    def feed(self, pcm: NDArray[np.int16]) -> list[tuple[int, int, float, int]]:
        """(sample, word, score, delta) of each event."""
        engine, step = self.engine, self.engine.preset.hop * self.engine.model.hop_frames
        old, sound = len(self.heard), np.concatenate([self.heard, pcm])
        events = []
        for end in range((old // step + 1) * step, len(sound) + 1, step):
            self.heard = sound[:end]
            if self.quiet:
                self.quiet = False
                self.classified[0] += 1
                continue
            window = self.heard[max(0, end - engine.window_samples) :]
            window = np.pad(window, (engine.window_samples - len(window), 0))
            answer, delta = self.classify(window, end)
            event = self.decision.step(end, answer, engine.deltas.index(self.delta))
            if event:
                events.append((*event, delta))
        self.heard = sound
        return events

    def classify(self, window: NDArray[np.int16], end: int) -> tuple[NDArray[np.float32], int]:
        """Probabilities of the window that ends at this sample, and the depth that gave them."""
        engine = self.engine
        self.quiet = False
        if self.level() < self.gate:
            self.classified[0] += 1
            return np.zeros(len(engine.class_names), F32), self.delta
        features = engine.features(window)
        if not self.listen:
            return self.ask(features, self.delta), self.delta
        thin, wake = self.ask(features, self.listen), self.decision.limit(self.wake, self.decision.sensitivity)
        if not any(thin[word] >= wake and self.decision.is_ready(word, end) for word in range(engine.n_words)):
            self.quiet = True
            return thin, self.listen
        return F32(0.25) * thin + F32(0.75) * self.ask(features, self.delta), self.delta

    def ask(self, features: NDArray[np.float32], delta: int) -> NDArray[np.float32]:
        """Probabilities at one depth."""
        self.classified[delta] += 1
        return self.engine.softmax(self.engine.network(features, delta))


def stimulus(seed: int, n: int) -> NDArray[np.int16]:
    """Stretches of noise, tones, near silence and clipping, int16 [n], made to move every score."""
    rng = np.random.default_rng(seed)
    parts: list[NDArray] = []
    while sum(map(len, parts)) < n:
        length = int(rng.integers(300, 3000))
        level = 10.0 ** rng.uniform(0.5, 4.8)
        if rng.random() < 0.5:
            part = np.sin(2 * np.pi * 10.0 ** rng.uniform(-2.2, -0.4) * np.arange(length))
        else:
            part = rng.standard_normal(length)
        parts.append(np.clip(np.rint(level * part), -32768, 32767))
    return np.concatenate(parts)[:n].astype(np.int16)


def liven(model: FoldedModel, seed: int) -> None:
    """Rescales the classifier of a random model in place so that ``stimulus`` makes every class win now and then."""
    engine = Engine(model)
    pcm = stimulus(seed, engine.window_samples + 60 * model.preset.hop)
    windows = np.lib.stride_tricks.sliding_window_view(pcm, engine.window_samples)[:: model.preset.hop]
    for depth in model.depths:
        logits = engine.classify_batch(np.ascontiguousarray(windows), depth.delta)
        gain = 2.0 / logits.std(axis=0)
        depth.class_scale = (depth.class_scale * gain).astype(F32)
        depth.class_bias = ((depth.class_bias - logits.mean(axis=0)) * gain).astype(F32)
