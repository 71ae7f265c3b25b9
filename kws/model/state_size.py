"""Bytes of memory that the engine needs for a stream of a model, without asking the engine.

The header states them as a constant. The sections are those that firmware/src/state.c documents, in its order; a test
compares the sum with ``kws_state_size``.
"""

from __future__ import annotations

from kws.model.folded import CONV2_CHANNELS, FoldedModel
from kws.model.pack import padded

STRUCT_BYTES = 320
"""Of the struct at the start, whatever the size of a pointer."""


def state_size(model: FoldedModel) -> int:
    """Bytes of caller memory for one stream of ``model``."""
    preset, channels, hidden = model.preset, model.channels, model.hidden
    steps, mels, cells = model.time_steps, model.mel_steps, preset.frames * preset.n_mels
    sections = (
        STRUCT_BYTES,
        2 * preset.n_fft,  # pcm_ring
        4 * cells,  # frame_ring
        4 * model.smoothing * model.n_classes,  # score_ring
        4 * model.n_classes,  # scores
        4 * model.n_words,  # thresholds
        8 * model.n_words,  # last_event
        model.n_words,  # armed
        4 * preset.n_fft,  # spectrum
        4 * cells,  # input
        cells // 2,  # conv1_bits
        4 * steps * mels,  # linear_input
        2 * steps * max(CONV2_CHANNELS * mels, channels, hidden),  # acc
        4 * steps * channels,  # x
        steps * max(channels, hidden) // 8,  # bits
    )
    return sum(padded(section) for section in sections)
