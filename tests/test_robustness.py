"""Degradations against what physics says of them, and their bookkeeping on a corpus that dictates its answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from test_evaluate_run import SILENCE, small_model, write
from typer.testing import CliRunner

from kws.cli import eval as eval_command
from kws.data.tasks import scan
from kws.errors import KwsError
from kws.evaluate import degrade, run
from kws.evaluate import robustness as robust
from kws.evaluate.metrics import balanced_accuracy
from kws.features import PRESETS

RATE = 16000
PRESET = PRESETS["bifsmn"]


def dictate(windows, delta):
    """Answers the class that a clip's loudest sample spells, 1000 * (class + 1); silence below that and above."""
    said = np.abs(windows.astype(np.int32)).max(axis=1) // 1000 - 1
    return np.eye(4, dtype=np.float32)[np.where((said < 0) | (said > SILENCE), SILENCE, said)]


def sine(frequency: float, seconds: float = 1.0, level: float = 3000.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(round(RATE * seconds)) / RATE)


@given(st.sampled_from([-10.0, 0.0, 5.0, 20.0]), st.integers(0, 1000))
def test_noise_is_as_far_below_as_asked(snr, seed):
    rng = np.random.default_rng(seed)
    clip, noise = sine(440), 17.0 * rng.standard_normal(RATE)
    added = degrade.mix(clip, noise, snr) - clip
    assert 20 * np.log10(degrade.rms(clip) / degrade.rms(added)) == pytest.approx(snr, abs=1e-9)


def test_what_is_silent_stays_silent():
    silence = np.zeros(RATE)
    rng = np.random.default_rng(0)
    assert not degrade.mix(silence, rng.standard_normal(RATE), 0).any()
    assert np.array_equal(degrade.mix(sine(300), silence, 0), sine(300))
    for sound in (degrade.reverberate(silence, 0.3, rng), degrade.change_speed(silence, 0.9)):
        assert len(sound) == RATE and np.isfinite(sound).all() and not sound.any()
    assert not degrade.overdrive(silence, 12).any()


@pytest.mark.parametrize("seconds", [0.3, 0.9])
def test_reverberation_falls_by_60_db_in_its_time(seconds):
    click = np.zeros(2 * RATE)
    click[0] = 30000.0
    wet = degrade.reverberate(click, seconds, np.random.default_rng(1))
    # Schroeder's backward integral of the tail, its slope between -5 and -25 dB.
    tail = wet[round(degrade.GAP * RATE) :] ** 2
    decay = 10 * np.log10(np.cumsum(tail[::-1])[::-1] / tail.sum() + 1e-12)
    start, end = np.argmax(decay < -5), np.argmax(decay < -25)
    assert 3 * (end - start) / RATE == pytest.approx(seconds, rel=0.1)
    assert 10 * np.log10(wet[0] ** 2 / tail.sum()) == pytest.approx(degrade.DIRECT_TO_REVERBERANT, abs=0.1)
    assert degrade.rms(wet) == pytest.approx(degrade.rms(click))


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_moves_pitch_and_length(factor):
    tone = sine(1000)
    tone[: RATE // 4] = tone[-RATE // 4 :] = 0.0
    played = degrade.change_speed(tone, factor)
    assert len(played) == RATE
    peak = np.argmax(np.abs(np.fft.rfft(played))) / len(played) * RATE
    assert peak == pytest.approx(1000 * factor, abs=3)
    loud = np.flatnonzero(np.abs(played) > 1500)
    assert (loud[-1] - loud[0]) / RATE == pytest.approx(0.5 / factor, abs=0.005)
    assert (loud[-1] + loud[0]) / 2 == pytest.approx(RATE / 2, abs=20)


def test_overdrive_flattens_what_is_over_the_limit():
    clipped = degrade.overdrive(sine(100), 12)
    assert np.abs(clipped).max() == pytest.approx(np.abs(sine(100)).max())
    flat = np.mean(np.abs(clipped) > 0.999 * np.abs(clipped).max())
    assert flat == pytest.approx(1 - 2 / np.pi * np.arcsin(10 ** (-12 / 20)), abs=0.01)


def test_babble_is_of_all_voices_alike_and_music_has_pitches():
    rng = np.random.default_rng(0)
    voices = [(sine(300 + 200 * i, level=10.0 ** (i % 3 + 1))).astype(np.int16) for i in range(8)]
    spectrum = np.abs(np.fft.rfft(degrade.babble(RATE, voices, rng)))
    heard = [spectrum[300 + 200 * i] for i in range(8) if spectrum[300 + 200 * i] > 0.1 * spectrum.max()]
    assert len(heard) == degrade.VOICES and max(heard) < 1.2 * min(heard)
    sound = degrade.music(RATE, np.random.default_rng(3))
    assert degrade.rms(sound) == pytest.approx(1.0)
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert np.sort(power)[-400:].sum() > 0.5 * power.sum()  # of 8001 bins: lines, not noise
    assert not np.array_equal(sound, degrade.music(RATE, np.random.default_rng(4)))


@pytest.fixture
def speakers(tmp_path):
    """Words and others by eight speakers; a clip spells its class, see ``test_evaluate_run``."""
    for word, said in (("yes", 0), ("no", 1), ("bird", 2), ("tree", 2)):
        for speaker in range(8):
            write(tmp_path / word / f"s{speaker}_nohash_0.wav", said)
    write(tmp_path / "_silence_" / "0.wav", -1)
    return tmp_path


def measured(root, **options):
    return robust.measure(dictate, scan(root), run.model_task(small_model()), PRESET, [1, 2], "all", **options)


def test_every_condition_counts_every_clip_and_is_the_same_again(speakers):
    found = measured(speakers)
    assert len(found.matrices) == 1 + 4 + 4 + 3 + 2 + 2 + 2
    total = 16 + 16 + 1
    assert all(matrix.sum() == total for depths in found.matrices.values() for matrix in depths.values())
    assert balanced_accuracy(found.matrices["clean"][1]) == 1.0
    again = measured(speakers)
    for name, depths in found.matrices.items():
        assert all(np.array_equal(matrix, again.matrices[name][delta]) for delta, matrix in depths.items())
    # At -30 dB no clip spells its class any more; at 0 dB neither; a drop is against the clean ones.
    assert found.drop("level -30 dB", 1) == 1.0 - balanced_accuracy(found.matrices["level -30 dB"][1]) > 0.2
    assert found.drop("clean", 1) == 0.0
    few = measured(speakers, families={name: robust.FAMILIES[name] for name in ("clean", "music")})
    assert np.array_equal(few.matrices["music 5 dB"][1], found.matrices["music 5 dB"][1])


def test_nobody_babbles_over_themselves(speakers):
    corpus = scan(speakers)
    crowd = robust._Crowd(corpus, run.model_task(small_model()), "all", 0)
    assert not crowd.has_words and len(crowd.voices) == 16
    clip = corpus.clips["yes"][3]
    own = {id(pcm) for name, pcm in crowd.voices if name == "s3"}
    assert len(own) == 2 and not own & {id(pcm) for pcm in crowd.others(clip)}
    assert len(crowd.others(clip)) == 14


def test_without_other_words_it_is_said_and_without_speakers_refused(tmp_path):
    for speaker in range(3):
        write(tmp_path / "yes" / f"s{speaker}_nohash_0.wav", 0)
    assert any("babble" in note for note in measured(tmp_path).notes)
    for speaker in (1, 2):
        (tmp_path / "yes" / f"s{speaker}_nohash_0.wav").unlink()
    with pytest.raises(KwsError, match="fewer than two speakers"):
        measured(tmp_path)


def test_thin_classes_are_left_out_of_the_covered_accuracy():
    matrix = np.array([[30, 10, 0], [0, 40, 0], [5, 0, 0]])
    assert robust.scores(matrix, "abc") == {
        "balanced_accuracy": pytest.approx((0.75 + 1 + 0) / 3),
        "covered_accuracy": pytest.approx((0.75 + 1) / 2),
        "recall": {"a": 0.75, "b": 1.0, "c": 0.0},
    }
    assert robust.scores(matrix // 5, "abc")["covered_accuracy"] is None


def test_eval_shows_and_prints_it(speakers, monkeypatch):
    monkeypatch.setattr(run, "classifier", lambda model, engine: dictate)
    monkeypatch.setattr(robust, "classifier", lambda model, engine: dictate)
    monkeypatch.setattr("kws.model.load", lambda model=None: small_model())
    app = typer.Typer()
    eval_command.register(app)
    options = ["--data", str(speakers), "--split", "all", "--depth", "1", "--robustness"]
    shown = CliRunner(env={"COLUMNS": "160"}).invoke(app, options)
    assert shown.exit_code == 0, shown.output
    assert next(line for line in shown.stdout.splitlines() if line.startswith("clean")).count("100.00 %") == 1
    printed = json.loads(CliRunner().invoke(app, [*options, "--json"]).stdout)
    assert printed["robustness"]["conditions"]["clean"]["1"]["balanced_accuracy"] == 1.0
    assert len(printed["robustness"]["conditions"]) == 18
    seeds = []
    choose = robust.choose_clips
    monkeypatch.setattr(robust, "choose_clips", lambda *args: (seeds.append(args[-1]), choose(*args))[1])
    CliRunner().invoke(app, [*options, "--seed", "5", "--json"])
    assert seeds == [5]
