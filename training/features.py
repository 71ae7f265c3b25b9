"""Log-mel features in torch, from the tables of ``kws.features``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.features import AMIN, Preset, mel_filterbank, tables


class LogMel(nn.Module):
    """Waveforms to log-mel maps, the same numbers as the C engine's front end.

    Input: float32 [batch, samples] on the int16 scale (-32768..32767), at least ``preset.n_fft`` samples.
    Output: float32 [batch, n_mels, frames] in dB, with ``frames = (samples - n_fft) // hop + 1``; no padding.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset, self.n_fft, self.hop = preset, preset.n_fft, preset.hop
        self.register_buffer("window", torch.from_numpy(tables(preset).window), persistent=False)
        # Each row twice, for the squares of real and imaginary parts as they lie in memory: no strided access.
        filters = torch.from_numpy(mel_filterbank(preset)).float().repeat_interleave(2, dim=1)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        frames = waveform.unfold(-1, self.n_fft, self.hop) * self.window
        squares = torch.view_as_real(torch.fft.rfft(frames)).flatten(-2).square_()
        mel = squares @ self.filters
        return mel.clamp_min_(AMIN).log10_().mul_(10.0).transpose(-1, -2)
