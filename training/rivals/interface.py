"""What every rival shares: the interface of ``kws_training.networks.BiFSMN`` with a single depth, 1."""

from __future__ import annotations

from torch import Tensor, nn

from kws.features import Preset
from kws_training.rivals.int8 import STAGES, Dense, Quantize

DEPTHS = (1,)


class Rival(nn.Module):
    """A network from log-mel maps to logits; a subclass gives ``embed``.

    Args:
        width: of the embedding that the classifier reads.
        n_classes: outputs.
        preset: features, of which the range is taken.
    """

    def __init__(self, width: int, n_classes: int, preset: Preset) -> None:
        super().__init__()
        self.stage = "float"
        self.offset, self.scale = preset.offset, preset.scale
        self.input, self.embedding = Quantize(), Quantize()
        self.classifier = Dense(width, n_classes)

    def embed(self, x: Tensor) -> Tensor:
        """Normalised maps [batch, 1, n_mels, frames] to [batch, width]."""
        raise NotImplementedError

    def set_stage(self, stage: str) -> None:
        """Switches every layer between "float" and "int8" arithmetic; weights stay."""
        if stage not in STAGES:
            raise ValueError(f"'{stage}' is no stage; choose {' or '.join(STAGES)}")
        for module in self.modules():
            if hasattr(module, "stage"):
                module.stage = stage

    def constrain(self) -> None:
        """Called after every optimizer step."""

    def forward(
        self, features: Tensor, deltas: tuple[int, ...] = DEPTHS
    ) -> dict[int, tuple[Tensor, dict[int, Tensor]]]:
        """Features in dB, float32 [batch, n_mels, frames], to logits [batch, n_classes] and the embedding, by depth."""
        x = self.input(((features - self.offset) * self.scale).unsqueeze(1))
        embedding = self.embedding(self.embed(x))
        return {1: (self.classifier(embedding), {0: embedding})}
