"""What ships: models, their headers and their cards belong together, and run the same in C and in torch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kws.engine import Engine
from kws.model import DEFAULT, LISTENER, header, load, shipped
from kws_training import folded

ROOT = Path(__file__).resolve().parents[1]
MODELS = sorted(path.stem for path in (ROOT / "models").glob("*.kws"))


def test_the_default_models_ship_and_all_of_it_is_small():
    assert {DEFAULT, LISTENER} <= set(MODELS) == set(shipped())
    assert sum(path.stat().st_size for path in (ROOT / "models").iterdir()) < 1_100_000


@pytest.mark.parametrize("name", MODELS)
def test_the_header_is_what_export_writes_today(name, tmp_path):
    header.export(load(name), tmp_path / f"{name}.h", name)
    for written in tmp_path.iterdir():
        assert (ROOT / "firmware/models" / written.name).read_bytes() == written.read_bytes(), "run kws export"


@pytest.mark.parametrize("name", MODELS)
def test_the_card_names_the_checkpoint_and_the_sizes(name):
    card, model = (ROOT / "models" / f"{name}.md").read_text(), load(name)
    digest = model.checkpoint_sha256
    assert f"{digest[:9]}…{digest[-7:]}" in card
    assert f"{(ROOT / 'models' / f'{name}.kws').stat().st_size:,} bytes" in card


@pytest.mark.parametrize("name", MODELS)
def test_c_and_torch_agree_to_the_bit_at_every_depth(name):
    model = load(name)
    engine = Engine(model)
    features = np.random.default_rng(0).normal(-45, 20, (50, model.preset.n_mels, model.preset.frames))
    features[::10] = -80.0  # a good listener takes none of the noise for a word, but knows it from silence
    features = features.astype(np.float32)
    for delta in model.deltas:
        logits, trace = folded.network(model, torch.from_numpy(features), delta)
        for index, one in enumerate(features):
            c_logits, c_trace = engine.network_traced(one, delta)
            assert np.array_equal(c_trace, trace[index].numpy())
            assert np.array_equal(c_logits, logits[index].numpy())
        assert len(set(logits.argmax(1).tolist())) > 1
