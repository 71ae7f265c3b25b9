"""Streams measured end to end: the figures are those that the engine's own events give."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from random_model import random_model
from reference import liven, stimulus
from rich.console import Console
from typer.testing import CliRunner

from kws.cli import application
from kws.data.labels import Label, read_labels, write_labels
from kws.data.stream import RUNNING
from kws.engine import Engine
from kws.errors import KwsError
from kws.evaluate.calibrate import LOGITS, PEAKS, SMOOTHINGS, WAKE_SHIFTS, WAKES, _choose, _loss, calibrate, tail_rates
from kws.evaluate.matching import match
from kws.evaluate.sounds import Sound, hear_folder, hear_recording
from kws.evaluate.stream import FINE_STEPS, STEP, Judge, Mode, Point, computed_anew, evaluate_stream, modes_of, moved
from kws.evaluate.stream_report import show, to_json
from kws.evaluate.track import record
from kws.features import Preset
from kws.model import FoldedModel, load, save

PRESET = Preset("eval", n_fft=256, hop=128, n_mels=8, frames=12)
PCM = stimulus(5, 16000 * 60)


@pytest.fixture(scope="module")
def model() -> FoldedModel:
    model = random_model(3, n_classes=5, channels=64, hidden=64, n_blocks=4, preset=PRESET)
    model.hop_frames, model.refractory, model.wake = 4, 4000, 0.4
    liven(model, 3)
    model.word_threshold[:] = [[0.6, 0.5, 0.55], [0.5, 0.6, 0.4], [0.45, 0.55, 0.6]]
    return model


@pytest.fixture(scope="module")
def labels(model) -> list[Label]:
    """Labels where the deepest network hears words with little smoothing, so that some are hit, and some elsewhere."""
    events = Engine(model).stream(1, dict.fromkeys(model.class_names[:3], 0.5)).feed(PCM)
    ends = [(event.word, round(16000 * event.time)) for event in events[::2]]
    others = [("word1", 16000 * second) for second in range(3, 60, 7)]
    return sorted((Label(word, end - 3000, end - 500) for word, end in ends + others), key=lambda one: one.start)


@pytest.fixture(scope="module")
def sounds(model, labels) -> list[Sound]:
    return [
        Sound("words", record(model, [PCM]), labels),
        Sound("others", record(model, [stimulus(6, 16000 * 30)]), [], [(Path("a"), 0.0), (Path("b"), 20.0)]),
    ]


def test_figures_are_those_of_the_engines_events(model, labels, sounds) -> None:
    modes = modes_of(model, model.deltas)
    assert [mode.name for mode in modes] == ["depth 1", "depth 2", "depth 4", "adaptive"]
    for result in evaluate_stream(model, sounds, modes):
        streams = []
        for pcm in (PCM, stimulus(6, 16000 * 30)):
            stream = Engine(model).stream(result.mode.confirm)
            if result.mode.listen:
                stream.set_adaptive(result.mode.listen, result.mode.confirm)
            streams.append((match(stream.feed(pcm), labels if pcm is PCM else []), stream.classified))
        counts = result.operations[0].counts.values()
        hits = [(event, label) for event, label in zip(streams[0][0].hits, labels, strict=True) if event]
        assert sum(one.hits for one in counts) == len(hits) > 5
        late = sorted(event.time - label.end / 16000 for event, label in hits)
        assert np.allclose(np.sort(np.concatenate([one.latencies for one in counts])), late)
        assert sum(one.repeats for one in counts) == len(streams[0][0].repeats)
        false_accepts = [len(found.false_accepts) for found, _ in streams]
        assert sum(len(one.false_accepts) for one in counts) == sum(false_accepts) > 5
        point = result.operations[0].point
        assert point.false_accepts == pytest.approx(sum(false_accepts) / (90 / 3600))
        assert point.misses == pytest.approx(1 - len(hits) / len(labels))
        for delta, share in result.windows.items():
            total = sum(classified[delta] for _, classified in streams)
            assert share == pytest.approx(total / sum(len(sound.track.levels) for sound in sounds))


def test_a_curve_moves_every_threshold_by_the_sensitivity(model, labels, sounds) -> None:
    """A shift of 2 is a sensitivity of 1/4."""
    stream = Engine(model).stream(1)
    stream.set_sensitivity(0.25)
    events = match(stream.feed(PCM), labels)
    result = evaluate_stream(model, sounds[:1], [Mode(1)])[0]
    point = next(point for point in result.curve if point.shift == 2.0)
    assert point.misses == pytest.approx(sum(event is None for event in events.hits) / len(labels))
    assert point.false_accepts == pytest.approx(60 * len(events.false_accepts))
    assert min(point.misses for point in result.curve) < 0.8 and result.curve[-1].misses == 1.0
    assert result.curve[-1].false_accepts == 0.0


def test_operations_reach_their_targets(model, sounds) -> None:
    result = evaluate_stream(model, sounds, [Mode(1)], (60.0, 500.0))[0]
    assert [one.target for one in result.operations] == [None, 60.0, 500.0]
    for one in result.operations[1:]:
        assert one.point.false_accepts <= one.target
        better = [point for point in result.curve if point.misses < one.point.misses]
        assert all(point.false_accepts > one.target for point in better)
        # A curve's steps are coarse; a fifth of one further down is too far.
        finer = Judge(model, sounds, Mode(1)).at(model.word_threshold[0], one.point.shift - STEP / FINE_STEPS).point
        assert finer.false_accepts > one.target or finer.misses >= one.point.misses


def test_late_detections_may_be_left_out_of_the_targets(model, sounds) -> None:
    """With every word's label moved to a second before what was heard, all hits come late."""
    early = [Label(one.word, one.start - 12000, one.end - 12000) for one in sounds[0].labels if one.start > 12000]
    moved_sounds = [replace(sounds[0], labels=early)]
    strict, lenient = (evaluate_stream(model, moved_sounds, [Mode(1)], (600.0,), flag)[0] for flag in (True, False))
    assert strict.curve == lenient.curve and strict.operations[0].point.late > 60
    assert strict.operations[1].point.false_accepts <= 600.0 >= lenient.operations[1].point.rate(False)
    assert lenient.operations[1].point.misses < strict.operations[1].point.misses


def test_work_is_counted_in_multiplications(model, sounds) -> None:
    results = {one.mode.name: one for one in evaluate_stream(model, sounds, modes_of(model, model.deltas))}
    assert results["depth 1"].work == 1.0 > results["depth 2"].work > results["depth 4"].work
    adaptive = results["adaptive"]
    assert adaptive.windows[4] + adaptive.windows[0] == 1.0 and 0.0 < adaptive.windows[1] < adaptive.windows[4] < 1.0
    # Convolutions once for every window that any depth classified, and the rest as often as each depth ran.
    front = 4 * 2 * 3 * 16 * 25 + 2 * 3 * 32 * 25 * 16
    rest = {passes: 3 * 2 * 32 * 64 + passes * 3 * 64 * (5 + 64 + 64) + 5 * 3 * 64 for passes in (1, 4)}
    spent = adaptive.windows[4] * (front + rest[1]) + adaptive.windows[1] * rest[4]
    assert adaptive.work == pytest.approx(spent / (front + rest[4]))
    silent = evaluate_stream(replace(model, gate=10.0), sounds, [Mode(1)])[0]
    assert silent.work == 0.0 and silent.windows == {0: 1.0, 1: 0.0, 2: 0.0, 4: 0.0}


def test_a_hop_computes_what_how_it_works_says(model) -> None:
    """A quarter of the first convolution and half of the second for the default shapes; all where windows are short."""
    assert computed_anew(random_model(0)) == {"conv1": 0.25, "conv2": 0.5}
    assert computed_anew(random_model(0), 2) == {"conv1": 0.375, "conv2": 0.625}
    assert computed_anew(model) == {"conv1": 1.0, "conv2": 1.0}


@pytest.mark.parametrize("listen", [0, 4])
def test_figures_of_some_words_are_those_of_a_device_that_is_asked_for_them(model, sounds, listen) -> None:
    thresholds, mode = model.word_threshold[0], Mode(1, listen)
    asked = thresholds.copy()
    asked[1] = 1.5
    every = Judge(model, sounds, mode).at(asked, -0.5)
    judge = Judge(model, sounds, mode, counted=["word2", "word0"])
    some = judge.at(thresholds, -0.5)
    assert judge.windows(thresholds) == Judge(model, sounds, mode).windows(asked)
    assert list(some.counts) == ["word0", "word2"] and some.thresholds.items() < every.thresholds.items()
    for word, count in some.counts.items():
        own = every.counts[word]
        assert (count.said, count.repeats, count.false_accepts) == (own.said, own.repeats, own.false_accepts)
        assert np.array_equal(count.latencies, own.latencies)
    false = [len(count.false_accepts) for count in some.counts.values()]
    assert some.point.false_accepts == pytest.approx(sum(false) / (90 / 3600)) and sum(false) > 0
    said, hits = (sum(getattr(count, what) for count in some.counts.values()) for what in ("said", "hits"))
    assert some.point.misses == pytest.approx(1 - hits / said)


def test_times_lead_back_to_files(sounds) -> None:
    assert sounds[0].place(3.5) == ("words", 3.5)
    assert sounds[1].place(19.5) == ("a", 19.5) and sounds[1].place(20.5) == ("b", 0.5)


def test_a_folder_is_one_stream_with_silence_between(model, tmp_path) -> None:
    parts = [stimulus(seed, 16000 * 5 + seed) for seed in (1, 2)]
    for name, pcm in zip("ab", parts, strict=True):
        soundfile.write(tmp_path / f"{name}.wav", pcm, 16000)
    silence = np.zeros(16000, np.int16)
    heard = hear_folder(model, tmp_path, [1])
    expected = record(model, [parts[0], silence, parts[1], silence], [1])
    assert np.array_equal(heard.track.probabilities[1], expected.probabilities[1])
    assert heard.files == [(tmp_path / "a.wav", 0.0), (tmp_path / "b.wav", 6.0 + 1 / 16000)]
    with pytest.raises(KwsError, match="no such folder"):
        hear_folder(model, tmp_path / "none", [1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(KwsError, match="holds no recording directly in it; give a folder of recordings in which none"):
        hear_folder(model, tmp_path / "empty", [1])


@pytest.mark.parametrize("rate", [16000, 8000])
def test_a_recording_longer_than_a_minute_is_heard_whole(model, tmp_path, rate) -> None:
    pcm = np.tile(stimulus(3, 16000), 70)
    soundfile.write(tmp_path / "long.wav", pcm[:: 16000 // rate], rate)
    write_labels([Label("word0", 5, 9)], tmp_path / "long.txt")
    heard = hear_recording(model, tmp_path / "long.wav", tmp_path / "long.txt", [1])
    assert heard.track.samples == 71 * 16000 and heard.labels == [Label("word0", 5, 9)]
    if rate == 16000:
        silence = np.zeros(16000, np.int16)
        assert np.array_equal(heard.track.levels, record(model, [pcm, silence], [1]).levels)


# --- calibration ------------------------------------------------------------------------------------------------------


def test_the_tail_of_exponential_scores_is_found() -> None:
    """From 5 hours of scores whose logits exceed 0 by an exponential of mean 0.8, 200 an hour."""
    rng = np.random.default_rng(2)
    ratios = []
    for _ in range(30):
        scores = rng.exponential(0.8, rng.poisson(1000))
        rates = tail_rates(np.array([(scores >= logit).sum() for logit in LOGITS]), 5.0)
        assert rates[0] == len(scores) / 5.0
        at = int(np.argmin(abs(LOGITS - 5.0)))
        ratios.append(rates[at] / (200 * np.exp(-5.0 / 0.8)))
        assert (np.diff(rates) <= 0).all()
    assert np.median(ratios) == pytest.approx(1.0, rel=0.25)


def test_a_word_that_never_fired_is_no_certainty() -> None:
    rates = tail_rates(np.zeros(len(LOGITS), np.int64), 2.0)
    assert 0.2 < rates[0] < 0.5 and 0 < rates[-1] < 1e-6


def test_few_false_accepts_are_extrapolated_from_the_lowest_threshold() -> None:
    counts = (LOGITS < 0).astype(np.int64) * (PEAKS - 1)
    rates = tail_rates(counts, 1.0)
    assert rates[0] == PEAKS - 1 and (np.diff(rates) <= 0).all() and 0.0 < rates[-1] < 0.1


def test_thresholds_keep_to_the_target(model, sounds) -> None:
    result = calibrate(model, sounds, 400.0)
    assert result.model.word_threshold.shape == (3, 3) and not np.array_equal(
        result.model.word_threshold, model.word_threshold
    )
    for row, delta in enumerate(model.deltas):
        assert result.expected[delta] <= 400.0
        judge = Judge(result.model, sounds, Mode(delta))
        counts = [judge.count(word, limit) for word, limit in enumerate(result.model.word_threshold[row])]
        rate = sum(len(one.false_accepts) for one in counts) / judge.hours
        assert rate == pytest.approx(result.expected[delta], rel=0.5) and rate < 700
        assert result.measured[f"depth {delta}"].point.false_accepts == pytest.approx(rate)
    assert result.model.provenance["calibration"]["target_per_hour"] == 400.0
    stricter = calibrate(model, sounds, 20.0)
    for mode, operation in stricter.measured.items():
        assert operation.point.false_accepts < result.measured[mode].point.false_accepts


def test_the_wake_threshold_is_the_highest_that_loses_nothing_for_as_many_false_accepts(model, sounds) -> None:
    chosen = calibrate(model, sounds, 400.0).model
    own = chosen.word_threshold[0]
    deep = Judge(chosen, sounds, Mode(1))

    def loss(wake: float) -> float:
        losses = []
        for shift in WAKE_SHIFTS:
            point = Judge(chosen, sounds, Mode(1, 4), wake).at(own, shift).point
            curve = [deep.at(own, by).point for by in np.arange(-3.0, 6.0, 0.05)]
            kept = [one for one in curve if one.false_accepts - one.late <= point.false_accepts - point.late]
            losses.append(point.misses - min(one.misses for one in kept))
        return sum(losses) / len(losses)

    found = {wake: loss(wake) for wake in WAKES}
    enough = [wake for wake in WAKES if found[wake] <= 0.0025]
    assert chosen.wake == (max(enough) if enough else min(found, key=found.get))


def test_what_makes_fewer_false_accepts_than_any_threshold_is_compared_with_deafness() -> None:
    curve = [Point(shift, 0.5, 3.0, 0.0, 0.0) for shift in (0.0, 1.0)]
    assert _loss(Point(0.0, 0.7, 3.0, 0.0, 0.0), curve) == pytest.approx(0.2)
    assert _loss(Point(0.0, 0.7, 1.0, 0.0, 0.0), curve) == pytest.approx(-0.3)


def test_the_smoothing_chosen_loses_least(model, sounds) -> None:
    losses = {}
    for size in SMOOTHINGS:
        result = calibrate(model, sounds, 400.0, smoothings=(size,))
        assert result.model.smoothing == size
        losses[size] = sum(
            -np.log((count.hits + 1) / (count.said + 1))
            for mode, operation in result.measured.items()
            if mode.startswith("depth")
            for count in operation.counts.values()
            if count.said
        )
    for sizes in (SMOOTHINGS, SMOOTHINGS[:2], SMOOTHINGS[2:]):
        chosen = calibrate(model, sounds, 400.0, smoothings=sizes).model.smoothing
        assert losses[chosen] == pytest.approx(min(losses[size] for size in sizes))


def test_no_threshold_is_chosen_below_the_least(model, sounds) -> None:
    free = calibrate(model, sounds, 400.0).model.word_threshold
    bound = calibrate(model, sounds, 400.0, least=0.6).model.word_threshold
    assert free.min() < 0.6 <= bound.min()


def test_the_choice_is_as_good_as_trying_every_pair() -> None:
    costs = np.stack([0.01 * np.exp(0.3 * LOGITS), 0.1 * np.exp(0.1 * LOGITS)])
    rates = np.stack([90 * np.exp(-LOGITS), 5 * np.exp(-0.5 * LOGITS)])
    for target in (0.3, 2.0, 20.0):
        chosen = _choose(costs, rates, target)
        sums = rates[0][:, None] + rates[1][None]
        best = np.where(sums <= target, costs[0][:, None] + costs[1][None], np.inf).min()
        assert chosen.rate == rates[[0, 1], chosen.picks].sum() <= target
        assert costs[[0, 1], chosen.picks].sum() <= 1.1 * best


def test_a_word_without_a_recording_takes_an_equal_share() -> None:
    costs = np.stack([0.01 * np.exp(0.3 * LOGITS), np.full(len(LOGITS), np.nan)])
    rates = np.stack([90 * np.exp(-LOGITS), 90 * np.exp(-LOGITS)])
    picks = _choose(costs, rates, 2.0).picks
    assert rates[1, picks[1]] <= 1.0 < rates[1, picks[1] - 1]


def test_what_cannot_be_calibrated_is_one_sentence(model, sounds) -> None:
    with pytest.raises(KwsError, match="is no rate to aim for"):
        calibrate(model, sounds, 0.0)
    with pytest.raises(KwsError, match="smoothing"):
        calibrate(model, sounds, 1.0, smoothings=(1, 17))
    with pytest.raises(KwsError, match="None of the model's words is said"):
        calibrate(model, sounds[1:], 1.0)


def test_moved_thresholds_keep_always_and_never() -> None:
    found = moved(np.array([0.0, 0.5, 1.0, 1.5], np.float32), 2.0)
    assert found.tolist() == [0.0, np.float32(1 / (1 + np.exp(-2.0))), 1.0, 1.5]


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    """A model, word folders and negatives."""
    root = tmp_path_factory.mktemp("commands")
    save(model, root / "m.kws")
    for number, word in enumerate(("word0", "word1", "word2", "other")):
        (root / "data" / word).mkdir(parents=True)
        for take in range(3):
            pcm = np.pad(stimulus(10 * number + take, 6000), 5000)
            soundfile.write(root / "data" / word / f"{take}.wav", pcm, 16000)
    (root / "negatives").mkdir()
    soundfile.write(root / "negatives" / "n.wav", stimulus(77, 16000 * 20), 16000)
    return root


def run(*arguments: object) -> str:
    result = CliRunner().invoke(application(), [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


STREAM = ("--stream", "--split", "all", "--minutes", 1)


def test_eval_stream_reports_and_draws(folder, tmp_path) -> None:
    options = (*STREAM, "--data", folder / "data", "--negatives", folder / "negatives", "--snr", "inf")
    found = json.loads(run("eval", folder / "m.kws", *options, "--json", "--plots", tmp_path))
    assert [sound["name"] for sound in found["sounds"]] == ["mix", str(folder / "negatives")]
    assert found["hours"] == pytest.approx((60 + 21) / 3600)
    assert set(found["modes"]) == {"depth 1", "depth 2", "depth 4", "adaptive"}
    own = found["modes"]["depth 2"]["operations"][0]
    assert set(own["words"]) == {"word0", "word1", "word2"} and own["words"]["word1"]["threshold"] == pytest.approx(0.6)
    assert {one["word"] for one in own["false_accepts"]} <= set(own["words"])
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")
    table = run("eval", folder / "m.kws", *options, "--depth", 2)
    assert "depth 2" in table and "adaptive" not in table and "as set" in table
    assert f"{100 * own['miss_rate']:.1f} %" in table  # the same stream again


def test_a_saved_mix_is_the_recording_that_was_measured(folder, tmp_path) -> None:
    wav = tmp_path / "mix.wav"
    first = json.loads(run("eval", folder / "m.kws", *STREAM, "--data", folder / "data", "--save", wav, "--json"))
    assert len(read_labels(wav.with_suffix(".txt"))) == first["sounds"][0]["labels"] > 10
    again = json.loads(
        run("eval", folder / "m.kws", "--stream", "--recording", wav, "--labels", wav.with_suffix(".txt"), "--json")
    )
    for mode, result in first["modes"].items():
        before, after = (one["operations"][0]["words"] for one in (result, again["modes"][mode]))
        assert {word: one["hits"] for word, one in before.items()} == {word: one["hits"] for word, one in after.items()}


@pytest.mark.parametrize("there", ["mix.wav", "mix.txt"])
def test_a_saved_mix_replaces_nothing(folder, tmp_path, there) -> None:
    (tmp_path / there).write_text("0 1 yes")
    with pytest.raises(KwsError, match=f"{there}: exists already"):
        run("eval", folder / "m.kws", *STREAM, "--data", folder / "data", "--save", tmp_path / "mix.wav")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "0 1 yes"


def test_a_label_track_of_another_recording_is_refused_before_it_is_heard(folder, tmp_path, monkeypatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16000, np.int16), 16000)
    options = ("--recording", tmp_path / "a.wav", "--labels", tmp_path / "a.txt")
    for end, fits in ((1.4, True), (1.6, False)):
        (tmp_path / "a.txt").write_text(f"0.2\t{end}\tword0\n")
        if fits:
            run("eval", folder / "m.kws", "--stream", *options)
        else:
            monkeypatch.delattr("kws.evaluate.sounds.record")
            with pytest.raises(KwsError, match=r"a label ends at 1.6 s, and .* at 1.0 s"):
                run("eval", folder / "m.kws", "--stream", *options)


def test_words_that_nobody_cares_for_are_not_said(folder, tmp_path) -> None:
    options = ("--data", folder / "data", "--snr", "inf", "--json", "--words", "word2, word0", "--depth", 1)
    report = json.loads(run("eval", folder / "m.kws", *STREAM, *options, "--save", tmp_path / "s.wav"))
    assert {label.word for label in read_labels(tmp_path / "s.txt")} == {"word0", "word2", "other"}
    for operation in report["modes"]["depth 1"]["operations"]:
        assert list(operation["words"]) == ["word0", "word2"]
        assert {false["word"] for false in operation["false_accepts"]} <= {"word0", "word2"}
        assert operation["target_per_hour"] or any(false["said"] for false in operation["false_accepts"])
        assert all(
            Path(false["clip"]).parent.name == false["said"] for false in operation["false_accepts"] if false["said"]
        )


def test_words_may_be_said_amid_running_speech(folder, tmp_path) -> None:
    options = ("--data", folder / "data", "--speech", folder / "negatives", "--depth", 1, "--json")
    report = json.loads(run("eval", folder / "m.kws", *STREAM, *options, "--save", tmp_path / "s.wav"))
    said = {label.word for label in read_labels(tmp_path / "s.txt")}
    assert said == {"word0", "word1", "word2", RUNNING}
    own = report["modes"]["depth 1"]["operations"][0]["false_accepts"]
    assert {Path(one["clip"]).parent.name for one in own if one["said"] == RUNNING} == {"negatives"}


def test_a_detection_is_of_the_word_whose_end_is_nearest(model) -> None:
    labels = [Label("a", 0, 16000), Label("b", 17600, 24000, Path("b.wav")), Label("c", 24800, 40000)]
    sound = Sound("s", record(model, [PCM[:16000]]), labels)
    said = {0.0: None, 0.5: "a", 1.0: "a", 1.2: "a", 1.3: "b", 1.6: "b", 1.9: "b", 2.1: "c", 3.5: "c", 3.51: None}
    assert {time: (label := sound.said(time)) and label.word for time in said} == said
    assert sound.said(1.3).clip == Path("b.wav") and Sound("s", sound.track, []).said(1.0) is None
    # Begun long ago, and still going on.
    many = [Label("long", 0, 80000), *(Label(str(i), 1600 * i, 1600 * i + 800) for i in range(1, 7))]
    assert Sound("s", sound.track, many).said(4.9).word == "long"


def test_false_accepts_of_a_mix_tell_what_was_said_and_by_which_clip(model, sounds, labels, capsys) -> None:
    clips = {index: Path(f"{label.word}/{index % 3}.wav") for index, label in enumerate(labels)}
    named = [replace(label, clip=clips[index]) for index, label in enumerate(labels)]
    heard = [replace(sounds[0], labels=named)]
    (result,) = evaluate_stream(model, heard, [Mode(1)])
    report = to_json(model, heard, [result])["modes"]["depth 1"]["operations"][0]["false_accepts"]
    assert len(report) == sum(len(one.false_accepts) for one in result.operations[0].counts.values()) > 5
    for one in report:
        ends = {index: label.end / 16000 for index, label in enumerate(labels) if label.start < 16000 * one["time"]}
        nearest = min(ends, key=lambda index: abs(ends[index] - one["time"]), default=None)
        is_heard = nearest is not None and one["time"] - ends[nearest] <= 1.0
        assert one["said"] == (labels[nearest].word if is_heard else None)
        assert one["clip"] == (str(clips[nearest]) if is_heard else None)
    show(model, heard, [result], Console(width=200), listed=False)
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "false accepts;" in line]
    others = [one for one in report if one["word"] != one["said"]]
    (word, said), count = Counter((one["word"], one["said"] or "nothing") for one in others).most_common(1)[0]
    assert f"{len(report)} false accepts; {word} for {said} {count}" in line
    assert line.endswith(f", {len(report) - len(others)} of the word itself, late") and len(others) < len(report)
    by_clip = Counter(one["clip"] for one in others if one["clip"])
    for clip, count in by_clip.items():
        assert (f"  {count} in {clip}" in lines) == (count > 1)
    assert max(by_clip.values()) > 1


def test_false_accepts_of_a_recording_without_words_are_listed_with_times(folder) -> None:
    shown = run("eval", folder / "m.kws", "--stream", "--negatives", folder / "negatives", "--depth", 1)
    assert "n.wav at " in shown and " s" in shown


def test_calibrate_writes_a_model(folder, tmp_path) -> None:
    out = tmp_path / "c.kws"
    options = ("--split", "all", "--minutes", 1, "--data", folder / "data", "--negatives", folder / "negatives")
    shown = run(
        "calibrate",
        folder / "m.kws",
        *options,
        "--target-false-accepts",
        200,
        "--out",
        out,
        "--adaptive",
        "--smoothing",
        5,
        "--hop",
        2000 * PRESET.hop / PRESET.sample_rate,
    )
    assert "c.kws written: thresholds for 200 false accepts an hour" in shown and "of the words missed" in shown
    made = load(out)
    assert made.listen_delta == 4 and made.smoothing == 5 and made.hop_frames == 2
    assert made.provenance["calibration"]["target_per_hour"] == 200
    assert not np.array_equal(made.word_threshold, load(folder / "m.kws").word_threshold)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "--stream"), "Nothing to listen to"),
        (("eval",), "Nothing to evaluate on"),
        (("eval", "--stream", "--negatives", ".", "--labels", "x.txt"), "belongs to a recording"),
        (("eval", "--stream", "--negatives", ".", "--save", "x.wav"), "writes the stream mixed from --data"),
        (("eval", "--stream", "--negatives", ".", "--speech", "."), "is laid between words of --data; give --data too"),
        (("eval", "--stream", "--data", ".", "--speech", "nowhere"), "nowhere: no such folder"),
        (("eval", "--stream", "--negatives", ".", "--depth", "8"), "is not in the model"),
        (("eval", "kws_yes_no", "--stream", "--data", ".", "--words", "yes,stop"), "'stop' is no word of .*yes, no"),
        (("eval", "--stream", "--negatives", ".", "--targets", "a"), "is no list of numbers"),
        (("eval", "--stream", "--negatives", ".", "--targets", "nan"), "is no list of numbers"),
        (("eval", "--stream", "--negatives", ".", "--targets", "-5"), "none of them negative"),
        (("eval", "--stream", "--data", ".", "--snr", "5,inf"), "from some background to none"),
        (("eval", "--stream", "--data", ".", "--snr", "1,2,3"), "--snr 1,2,3 is no range"),
        (("eval", "--stream", "--data", ".", "--snr=-inf"), "--snr -inf is no range"),
        (("eval", "--data", ".", "--negatives", "."), "--negatives measures a listener; add --stream"),
        (("eval", "--data", ".", "--snr", "5"), "--snr measures a listener; add --stream"),
        (("eval", "--stream", "--data", ".", "--engine", "torch"), "--engine measures clips"),
        (("eval", "--stream", "--data", ".", "--robustness"), "--robustness measures clips"),
        (
            ("calibrate", "kws12", "--data", ".", "--out", "x.kws", "--gate", "10"),
            "A gate of 10 dBFS lets no sound through",
        ),
        (("calibrate", "kws12", "--data", ".", "--out", "x.h"), "ends in .kws"),
        (
            ("calibrate", "kws12", "--data", ".", "--out", "x.kws", "--hop", "50"),
            "a frame every 32 ms; give 32, 64, 96",
        ),
        (("calibrate", "kws12", "--data", ".", "--out", "x.kws", "--hop", "0"), "give 32, 64, .* up to 1024"),
        (("calibrate", "kws12", "--data", ".", "--out", "x.kws", "--hop", "nan"), "--hop nan: .* give 32, 64"),
    ],
)
def test_bad_options_are_one_sentence(arguments, message) -> None:
    with pytest.raises(KwsError, match=message):
        run(*arguments)
