"""tools/soak.py in short: that it passes as things are, and that it notices what it is there to notice."""

from __future__ import annotations

import json
import mmap
import sys
from pathlib import Path

import pytest
from random_model import random_model
from reference import liven

from kws.listen import microphone
from kws.model import save

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import soak

CYCLES = 4


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the tool for four cycles of twelve seconds with a random model; gives its figures and exit status."""
    model = random_model(1)
    liven(model, 1)
    model.word_threshold[:] = 0.3
    save(model, tmp_path / "model.kws")
    monkeypatch.setattr(soak, "WORDS_SECONDS", 5.0)
    monkeypatch.setattr(soak, "DRAWN_SECONDS", 3.0)
    # So short a run never settles.
    monkeypatch.setattr(soak, "GROWTH_BYTES", 16 << 20)

    def call(*options):
        hours = CYCLES * 12 / 3600
        arguments = ["--model", tmp_path / "model.kws", "--hours", hours, *options]
        # The tool puts its own sounddevice in place.
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        monkeypatch.setattr(sys, "argv", ["soak", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            soak.main()
        return json.loads(capsys.readouterr().out), stop.value.code

    return call


@pytest.mark.parametrize("rate", [16000, 48000])
def test_it_passes(run, rate, tmp_path):
    figures, status = run("--rate", rate, "--json", tmp_path / "figures.json")
    assert (figures["faults"], status) == ([], 0)
    assert figures["cycles"] == CYCLES and figures["cycles_that_differ"] == 0 and figures["heard_each_cycle"]
    assert figures["samples_lost"] == 0 if rate == 16000 else figures["samples_lost"] < 1600
    assert json.loads((tmp_path / "figures.json").read_text()) == figures


def test_a_lost_chunk_is_noticed(run, monkeypatch):
    real = microphone.to_int16
    count = iter(range(10**9))

    def drop(samples):
        pcm = real(samples)
        return pcm[:0] if next(count) == 200 else pcm

    monkeypatch.setattr(microphone, "to_int16", drop)
    # One cycle more on the tape than is waited for: what is lost must not leave the tool waiting.
    monkeypatch.setattr(soak.Watch, "ended", property(lambda self: self.samples > (CYCLES - 1) * self._tape.length))
    figures, status = run()
    assert status == 1
    assert any("samples are missing" in fault for fault in figures["faults"])
    assert any("heard otherwise than the first" in fault for fault in figures["faults"])


def test_one_changed_sample_is_noticed(run, monkeypatch):
    real = microphone.to_int16
    count = iter(range(10**9))

    def change(samples):
        pcm = real(samples)
        if next(count) == 200:
            pcm[0] ^= 1
        return pcm

    monkeypatch.setattr(microphone, "to_int16", change)
    figures, status = run()
    assert status == 1 and "some were changed" in figures["faults"][0]


def test_memory_that_grows_is_noticed(run, monkeypatch):
    kept = []
    real = soak.Watch.show

    def hoard(self, heard):
        # From the system itself: the heap may hold enough that earlier tests freed.
        kept.append(mmap.mmap(-1, 240_000))
        kept[-1].write(bytes([1]) * 240_000)
        real(self, heard)

    monkeypatch.setattr(soak.Watch, "show", hoard)
    figures, status = run()
    assert status == 1 and any("memory grew" in fault for fault in figures["faults"])


def test_ctrl_c_gives_the_figures_so_far(run, monkeypatch):
    real = soak.Watch.show

    def show(self, heard):
        real(self, heard)
        if self.samples > 2.5 * self._tape.length:
            raise KeyboardInterrupt

    monkeypatch.setattr(soak.Watch, "show", show)
    figures, status = run()
    assert (figures["cycles"], figures["faults"], status) == (2, [], 0)
    assert figures["samples_lost"] is None and figures["heard_each_cycle"]
