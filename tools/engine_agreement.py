"""Holds the C engine to PyTorch on real recordings.

    python tools/engine_agreement.py --data DIR [--model MODEL] [--split validation] [--checkpoint RUN/student.pt]

Every clip of the split (all words of the folder) runs at every depth in C and in the torch reference, on the same
features: every integer accumulator and every logit is compared. With --checkpoint the trained, unfolded network is
compared too: batch norms and residual stream in float64, so that what the integers cost is measured. Prints one JSON
object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from kws.data.tasks import scan
from kws.engine import Engine
from kws.errors import KwsError
from kws.features import place_clip
from kws.model import FoldedModel, load
from kws_training import checkpoint, folded
from kws_training.config import Settings
from kws_training.evenness import draws_of, even_out
from kws_training.features import LogMel
from kws_training.networks import BiFSMN

BATCH = 256


def windows(data: Path, split: str, preset) -> np.ndarray:
    """Every readable clip of ``split``, int16 [n, window_samples]."""
    corpus = scan(data)
    found = []
    for word in sorted(corpus.clips):
        for clip in corpus.select(word, split):
            try:
                found.append(place_clip(clip.read(), preset))
            except KwsError as error:
                print(error)
    return np.stack(found)


def unfolded(path: Path, model: FoldedModel) -> BiFSMN:
    """The trained network of a checkpoint, as ``model`` was folded from it; in float64, so that its own rounding plays
    no part.
    """
    content = checkpoint.load(path)
    network = BiFSMN(Settings.from_dict(json.loads(content["settings"])).topology)
    network.load_state_dict(content["network"])
    network.set_stage("binary")
    network.double()
    even_out(network, model.class_names, draws_of(model))
    return network.eval()


def main() -> None:
    """Compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--checkpoint", type=Path)
    options = parser.parse_args()

    model = load(options.model)
    engine, log_mel = Engine(model), LogMel(model.preset)
    network = unfolded(options.checkpoint, model) if options.checkpoint else None
    pcm = windows(options.data, options.split, model.preset)
    result: dict = {"clips": len(pcm), "split": options.split, "feature_difference_db": 0.0, "depths": {}}
    for delta in model.deltas:
        result["depths"][delta] = {
            "accumulators": 0,
            "unequal_accumulators": 0,
            "largest_logit_difference": 0.0,
            "different_answers": 0,
            "different_answers_from_torch_features": 0,
        }
        if network:
            result["depths"][delta]["trained_network"] = {
                "mean_logit_difference": 0.0,
                "mean_logit_magnitude": 0.0,
                "different_answers": 0,
            }
    with torch.no_grad():
        for start in range(0, len(pcm), BATCH):
            part = pcm[start : start + BATCH]
            features = np.stack([engine.features(window) for window in part])
            torch_features = log_mel(torch.from_numpy(part).float())
            loud = features > features.max(axis=1, keepdims=True) - 80.0
            difference = np.abs(features - torch_features.numpy())[loud].max()
            result["feature_difference_db"] = max(result["feature_difference_db"], float(difference))
            trained = network(torch.from_numpy(features).double()) if network else {}
            for delta, row in result["depths"].items():
                logits, trace = folded.network(model, torch.from_numpy(features), delta)
                in_c = [engine.network_traced(one, delta) for one in features]
                c_logits, c_trace = (np.stack(column) for column in zip(*in_c, strict=True))
                row["accumulators"] += c_trace.size
                row["unequal_accumulators"] += int((c_trace != trace.numpy()).sum())
                row["largest_logit_difference"] = max(
                    row["largest_logit_difference"], float(np.abs(c_logits - logits.numpy()).max())
                )
                row["different_answers"] += int((c_logits.argmax(1) != logits.numpy().argmax(1)).sum())
                end_to_end = folded.network(model, torch_features, delta)[0].numpy()
                row["different_answers_from_torch_features"] += int((c_logits.argmax(1) != end_to_end.argmax(1)).sum())
                if network:
                    exact = trained[delta][0].numpy()
                    share = len(part) / len(pcm)
                    row["trained_network"]["mean_logit_difference"] += share * float(np.abs(c_logits - exact).mean())
                    row["trained_network"]["mean_logit_magnitude"] += share * float(np.abs(exact).mean())
                    row["trained_network"]["different_answers"] += int((c_logits.argmax(1) != exact.argmax(1)).sum())
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
