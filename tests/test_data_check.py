from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from kws.data.check import check
from kws.errors import KwsError


def speech(seed: int, seconds: float = 1.0, rate: int = 16000, peak: float = 0.5) -> np.ndarray:
    """Something loud that nothing else equals, float64 [n]."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-peak, peak, round(seconds * rate))


def write(path: Path, samples: np.ndarray, rate: int = 16000, **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **how)
    return path


@pytest.fixture
def corpus(tmp_path):
    """Two words, each with a speaker of every split and no fault."""
    for word, base in (("yes", 10), ("no", 20)):
        for offset, speaker in enumerate(SPEAKERS.values()):
            write(tmp_path / word / f"{speaker}_nohash_0.wav", speech(base + offset))
    return tmp_path


def _official_split(speaker: str) -> str:
    # The rule as the data set's README states it, written out again.
    percent = (int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27) * (100.0 / (2**27 - 1))
    return "validation" if percent < 10 else "testing" if percent < 20 else "training"


SPEAKERS: dict[str, str] = {}
for number in range(100):
    SPEAKERS.setdefault(_official_split(f"{number:08x}"), f"{number:08x}")


def kinds(report) -> dict[str, list[str]]:
    found = defaultdict(list)
    for finding in report.findings:
        found[finding.path].append(finding.kind)
    return dict(found)


def test_a_faultless_folder_has_no_finding(corpus):
    report = check(corpus)
    assert report.findings == []
    assert report.counts == {word: {"training": 1, "validation": 1, "testing": 1} for word in ("yes", "no")}
    assert report.files == 6
    assert report.seconds == 6.0


def test_every_injected_fault_is_found_and_no_other(corpus):
    def name(n: int, suffix: str = "wav") -> Path:
        return corpus / "yes" / f"{SPEAKERS['training']}_nohash_{n}.{suffix}"

    name(1).write_text("this is a poem, renamed")
    name(2).write_bytes(b"")
    write(name(3), np.zeros(0))
    with_nan = speech(3).astype(np.float32)
    with_nan[7] = np.nan
    write(name(4), with_nan, subtype="FLOAT")
    write(name(5), np.zeros(16000))
    write(name(6), speech(6, peak=3e-4))
    write(name(7), np.clip(speech(7, peak=1.5), -1, 1))
    write(name(8), speech(8, rate=8000), 8000)
    write(name(9, "flac"), speech(9, rate=48000), 48000)
    write(name(10), np.stack([speech(10), speech(11)], axis=1))
    write(name(11), speech(12, seconds=0.1))
    write(name(12), speech(13, seconds=2.0))
    shutil.copy(name(0), name(13))
    write(corpus / "yes" / "mine.wav", speech(14))
    (corpus / "yes" / "song.mp3").write_bytes(b"ID3")
    whole = name(9, "flac").read_bytes()
    name(14, "flac").write_bytes(whole[:20])
    prefix = f"{SPEAKERS['training']}_nohash_"
    found = {Path(path).name.removeprefix(prefix): what for path, what in kinds(check(corpus)).items()}
    assert found == {
        "1.wav": ["unreadable"],
        "2.wav": ["empty"],
        "3.wav": ["empty"],
        "4.wav": ["not finite"],
        "5.wav": ["silent"],
        "6.wav": ["nearly silent"],
        "7.wav": ["clipped"],
        "8.wav": ["other rate"],
        "9.flac": ["other rate"],
        "10.wav": ["not mono"],
        "11.wav": ["short"],
        "12.wav": ["long"],
        "13.wav": ["duplicate"],
        "14.flac": ["unreadable"],
        "mine.wav": ["no speaker id"],
        "song.mp3": ["not a recording"],
    }


def test_what_is_skipped_is_what_cannot_be_read(corpus):
    yes = corpus / "yes"
    (yes / "text_nohash_0.wav").write_text("no sound")
    write(yes / "silence_nohash_0.wav", np.zeros(16000))
    write(yes / "stereo_nohash_0.wav", np.stack([speech(1), speech(2)], axis=1))
    skipped = {finding.path: finding.kind for finding in check(corpus).skipped()}
    assert skipped == {"yes/text_nohash_0.wav": "unreadable", "yes/silence_nohash_0.wav": "silent"}


def test_duplicates_name_both_and_say_where_they_cross(corpus):
    training, validation = (f"{SPEAKERS[split]}_nohash_0.wav" for split in ("training", "validation"))
    shutil.copy(corpus / "no" / training, corpus / "no" / training.replace("_0.", "_1."))
    shutil.copy(corpus / "yes" / training, corpus / "yes" / validation)
    # The same sound in another container is still the same sound.
    samples, rate = soundfile.read(corpus / "no" / validation, dtype="int16")
    write(corpus / "yes" / validation.replace("_0.wav", "_7.flac"), samples, rate)
    found = {f.path: f.detail for f in check(corpus).findings if f.kind == "duplicate"}
    assert found[f"no/{training.replace('_0.', '_1.')}"] == f"same sound as no/{training}"
    assert "another split" in found[f"yes/{max(training, validation)}"]
    assert f"no/{validation}, under another word" in found[f"yes/{validation.replace('_0.wav', '_7.flac')}"]
    assert len(found) == 3


def test_digital_silence_is_not_called_a_duplicate(corpus):
    for number in (1, 2):
        write(corpus / "yes" / f"{SPEAKERS['training']}_nohash_{number}.wav", np.zeros(16000))
    assert {finding.kind for finding in check(corpus).findings} == {"silent"}


def test_clipping_is_measured_as_a_share(corpus):
    samples = speech(1)
    samples[:160] = 1.0
    samples[160:320] = -1.0
    write(corpus / "yes" / f"{SPEAKERS['training']}_nohash_1.wav", samples)
    (finding,) = check(corpus).findings
    assert (finding.kind, finding.detail, finding.action) == ("clipped", "2.0 % of samples at full scale", "kept")


def test_lists_make_the_split_and_a_divided_speaker_is_said(corpus):
    speaker = SPEAKERS["training"]
    write(corpus / "yes" / f"{speaker}_nohash_1.wav", speech(1))
    write(corpus / "yes" / f"{speaker}_nohash_2.wav", speech(2))
    rest = [f"{w}/{SPEAKERS[s]}_nohash_0.wav" for w in ("yes", "no") for s in ("validation",)]
    (corpus / "validation_list.txt").write_text("\n".join([f"yes/{speaker}_nohash_1.wav", *rest]) + "\n")
    (corpus / "testing_list.txt").write_text(
        "".join(f"{w}/{SPEAKERS['testing']}_nohash_0.wav\n" for w in ("yes", "no"))
    )
    report = check(corpus)
    assert report.lists
    assert report.counts["yes"] == {"training": 2, "validation": 2, "testing": 1}
    (finding,) = report.findings
    assert finding.kind == "divided speaker"
    assert f"speaker {speaker} has 3 training and 1 validation clips" in finding.detail


def test_filler_folders(corpus):
    write(corpus / "_silence_" / "aaaa_nohash_0.wav", np.zeros(48000))
    write(corpus / "_unknown_" / "bbbb_nohash_0.wav", np.zeros(16000))
    write(corpus / "_background_noise_" / "rain.wav", speech(1, seconds=5))
    write(corpus / "_background_noise_" / "click.wav", speech(2, seconds=0.5))
    (corpus / "_background_noise_" / "poem.wav").write_text("not sound")
    report = check(corpus)
    found = kinds(report)
    assert report.backgrounds == 3
    assert "silent" in found["_unknown_/bbbb_nohash_0.wav"]
    assert "_silence_/aaaa_nohash_0.wav" not in found
    assert "_background_noise_/rain.wav" not in found
    assert found["_background_noise_/click.wav"] == ["short"]
    assert found["_background_noise_/poem.wav"] == ["unreadable"]


def test_a_word_without_a_clip_of_a_split_is_said(corpus):
    (corpus / "no" / f"{SPEAKERS['validation']}_nohash_0.wav").unlink()
    assert kinds(check(corpus)) == {"no": ["no validation clip"]}


def test_the_root_of_speech_commands_is_found(corpus):
    root = corpus / "root"
    inner = root / "SpeechCommands" / "speech_commands_v0.02"
    inner.mkdir(parents=True)
    for word in ("yes", "no"):
        (corpus / word).rename(inner / word)
    report = check(root)
    assert report.root == inner
    assert report.files == 6


@pytest.mark.parametrize("make", ["nothing", "empty", "no clip", "only text"])
def test_folders_that_hold_no_data_set(tmp_path, make):
    folder = tmp_path / "data"
    if make != "nothing":
        folder.mkdir()
    if make in ("no clip", "only text"):
        write(folder / "yes" / "a_nohash_0.wav", speech(1))
        (folder / "no").mkdir()
    if make == "only text":
        (folder / "no" / "readme.txt").write_text("nothing here")
    with pytest.raises(KwsError) as caught:
        check(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_word_without_a_recording_is_named_at_once(corpus):
    (corpus / "down").mkdir()
    (corpus / "up").mkdir()
    with pytest.raises(KwsError, match="recording in down, up; add some"):
        check(corpus)


def test_progress_counts_every_file(corpus):
    seen = []
    check(corpus, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]


def test_the_command_shows_and_prints_json(corpus):
    from kws.cli import application

    (corpus / "yes" / "text_nohash_0.wav").write_text("no sound")
    shown = CliRunner().invoke(application(), ["data", "check", str(corpus)])
    assert shown.exit_code == 0, shown.output
    assert "unreadable 1: skipped" in shown.output
    assert "yes/text_nohash_0.wav" in shown.output
    printed = CliRunner().invoke(application(), ["data", "check", str(corpus), "--json"])
    report = json.loads(printed.stdout)
    assert report["counts"]["no"] == {"training": 1, "validation": 1, "testing": 1}
    assert report["skipped"] == 1
    assert [finding["path"] for finding in report["findings"]] == ["yes/text_nohash_0.wav"]
