"""Bytes of memory that the engine needs for a stream of a model, without asking the engine.

The header states them as a constant. The sections are those that firmware/src/state.c documents, in its order; a test
compares the sum with ``kws_state_size``.
"""

from __future__ import annotations

from kws.model.folded import MAX_SMOOTHING, TILE, FoldedModel
from kws.model.pack import padded

STRUCT_BYTES = 384
"""Of the struct at the start, whatever the size of a pointer."""


def state_size(model: FoldedModel) -> int:
    """Bytes of caller memory for one stream of ``model``."""
    preset, channels, hidden = model.preset, model.channels, model.hidden
    rows = -(-model.time_steps // TILE) * TILE
    row_bytes = 32 + 2 * (-(-preset.n_mels // 2 // 16) * 16)  # kwsi_row_bytes
    column_words = -(-(preset.n_mels // 2 + 6) // 8) * 8  # kwsi_column_words
    bits = rows * model.planes * max(channels, hidden) // 8
    front = (
        preset.frames * row_bytes,  # rows
        preset.frames * model.planes * column_words,  # columns
        4 * rows * model.planes * model.mel_steps,  # linear_input
    )
    sections = (
        STRUCT_BYTES,
        2 * preset.n_fft,  # pcm_ring
        4 * preset.n_mels,  # newest
        4 * MAX_SMOOTHING * model.n_classes,  # score_ring
        4 * model.n_classes,  # scores
        4 * model.n_words,  # sensitivities
        4 * model.n_words,  # refractory
        4 * len(model.depths) * model.n_words,  # thresholds
        4 * len(model.depths) * model.n_words,  # limits
        8 * model.n_words,  # last_event
        model.n_words,  # armed
        4 * preset.frames,  # levels
        8 * (len(model.depths) + 1),  # classified
        model.planes * row_bytes,  # padding
        8 * preset.n_fft,  # spectrum
        4 * preset.n_mels,  # frame
        4 * model.n_classes,  # sums
        2 * rows * channels,  # x
        *(bits, bits),
        *front,  # of the stream
        *front,  # of a window that stands alone
    )
    return sum(padded(section) for section in sections)
