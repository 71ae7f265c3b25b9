"""A guided session without a microphone: what is said to the person, and what lies on the disk afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_sounddevice import FakeSounddevice, device
from test_own_words_takes import hiss, with_tone
from typer.testing import CliRunner

from kws.cli import application
from kws.data.check import check
from kws.data.tasks import BACKGROUND, scan
from kws.errors import KwsError
from kws.listen import microphone
from kws.own_words.record import record, speaker_slug
from kws.own_words.takes import Take

RATE = 16000


def speech(*peaks: float, seconds: float = 0.5) -> np.ndarray:
    """Takes at these peaks, two seconds each."""
    return np.concatenate(
        [with_tone(hiss(2.0, seed=number), 0.8, seconds, peak) for number, peak in enumerate(peaks, 1)]
    )


class Script:
    """A person who does what a script says: sounds, one for each time the microphone opens, and answers."""

    def __init__(self, *sounds: np.ndarray, answers: tuple[str, ...] = ()) -> None:
        self.sounds, self.answers = list(sounds), list(answers)
        self.said: list[str] = []
        self.prompts: list[tuple[str, int]] = []

    def source(self):
        sound = self.sounds.pop(0)
        return (sound[at : at + 700] for at in range(0, len(sound), 700))

    def tell(self, text: str) -> None:
        self.said.append(text)

    warn = tell

    def prompt(self, word: str, number: int, count: int) -> None:
        self.prompts.append((word, number))

    def kept(self, take: Take) -> None:
        self.said.append("kept")

    def ask(self, question: str) -> str:
        return self.answers.pop(0) if self.answers else ""


def run(script: Script, out: Path, *words: str, takes: int = 3, speaker: str = "Ada L."):
    return record(list(words), out, speaker, takes, script.source, script)


ROOM = hiss(6.0)


def test_takes_and_the_room_lie_where_training_looks_for_them(tmp_path):
    script = Script(ROOM, speech(8000, 9000, 7000), speech(8000, 8000, 6000, seconds=0.8))
    result = run(script, tmp_path, "lights", "hey pi")
    corpus = scan(tmp_path)
    assert sorted(corpus.clips) == ["hey_pi", "lights"]
    assert [clip.path.name for clip in corpus.clips["lights"]] == [f"ada-l_nohash_{n}.wav" for n in range(3)]
    assert [path.name for path in corpus.backgrounds] == ["ada-l_room_0.wav"]
    assert soundfile.info(corpus.backgrounds[0]).frames == 5 * RATE
    assert script.prompts == [("lights", n) for n in (1, 2, 3)] + [("hey pi", n) for n in (1, 2, 3)]
    assert result.left == []
    for clips in corpus.clips.values():
        for clip in clips:
            info = soundfile.info(clip.path)
            assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
    # Every take is another: the peaks come back in order.
    peaks = [np.abs(soundfile.read(clip.path, dtype="int16")[0].astype(int)).max() for clip in corpus.clips["lights"]]
    assert peaks == [pytest.approx(peak, abs=150) for peak in (8000, 9000, 7000)]
    assert not check(tmp_path).skipped()


def test_a_bad_take_is_asked_for_again(tmp_path):
    script = Script(ROOM, speech(8000, 60000, 9000, 7000))
    result = run(script, tmp_path, "lights")
    assert [number for _, number in script.prompts] == [1, 2, 2, 3]
    assert sum("clips" in text for text in script.said) == 1
    assert len(result.files["lights"]) == 3


def test_a_person_names_takes_to_record_again(tmp_path):
    script = Script(ROOM, speech(8000, 9000, 7000), speech(3000), answers=("9", "2", ""))
    files = run(script, tmp_path, "lights").files["lights"]
    assert any("no take 9" in text for text in script.said)
    peaks = [np.abs(soundfile.read(path, dtype="int16")[0].astype(int)).max() for path in files]
    assert peaks == [pytest.approx(peak, abs=150) for peak in (8000, 3000, 7000)]


def test_recording_again_adds_and_overwrites_nothing(tmp_path):
    run(Script(ROOM, speech(8000)), tmp_path, "lights", takes=1)
    before = (tmp_path / "lights" / "ada-l_nohash_0.wav").read_bytes()
    files = run(Script(ROOM, speech(4000)), tmp_path, "lights", takes=1).files["lights"]
    assert [path.name for path in files] == ["ada-l_nohash_1.wav"]
    assert (tmp_path / "lights" / "ada-l_nohash_0.wav").read_bytes() == before
    assert len(list((tmp_path / BACKGROUND).iterdir())) == 2


def test_a_word_that_never_comes_right_is_left_and_the_next_begins(tmp_path):
    script = Script(ROOM, speech(8000, 60000, 60000, 60000, 60000), speech(8000, 8000))
    result = run(script, tmp_path, "lights", "hey", takes=2)
    assert result.left == ["lights"]
    assert [len(result.files[word]) for word in ("lights", "hey")] == [1, 2]


def test_a_room_in_which_someone_speaks_is_recorded_again(tmp_path):
    noisy = with_tone(hiss(5.5), 2.0, 0.5)
    script = Script(np.concatenate([noisy, hiss(6.0)]), speech(8000))
    room = run(script, tmp_path, "lights", takes=1).room
    assert any("Once more" in text for text in script.said)
    assert np.abs(soundfile.read(room, dtype="int16")[0].astype(int)).max() < 200


def test_a_muted_microphone_is_one_sentence_and_leaves_nothing(tmp_path):
    with pytest.raises(KwsError, match="digital silence"):
        run(Script(np.zeros(10 * RATE, np.int16)), tmp_path / "new", "lights")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "takes", "speaker", "message"),
    [
        (("a/b",), 3, "ada", "cannot name a folder"),
        (("on", " on"), 3, "ada", "given twice"),
        (("on",), 0, "ada", "--takes 0"),
        (("on",), 3, "!!", "holds no letter"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_the_microphone_opens(tmp_path, words, takes, speaker, message):
    with pytest.raises(KwsError, match=message):
        run(Script(), tmp_path, *words, takes=takes, speaker=speaker)


def test_a_speakers_name_becomes_part_of_a_file_name():
    assert speaker_slug("  Zoë O'Neil_2 ") == "zoë-o-neil-2"


def test_the_command_records_from_a_device_of_another_rate(tmp_path, monkeypatch):
    def at_44100(sound: np.ndarray) -> np.ndarray:
        at = np.arange(int(len(sound) * 44100 / RATE)) * RATE / 44100
        return (np.interp(at, np.arange(len(sound)), sound) / 32768).astype(np.float32)[:, None]

    # The device plays its sound from the start each time it is opened: a room in which a word comes after 5.5 seconds.
    sound = np.concatenate([hiss(5.6), speech(8000)])
    fake = FakeSounddevice(at_44100(sound), [device("mic", 1, 44100.0)])
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(microphone, "MOST_WAITING_SECONDS", np.inf)
    arguments = ["record", "hey pi", "--out", str(tmp_path), "--takes", "1", "--speaker", "ada"]
    result = CliRunner().invoke(application(), arguments, input="\n")
    assert result.exit_code == 0, result.output
    pcm, rate = soundfile.read(tmp_path / "hey_pi" / "ada_nohash_0.wav", dtype="int16")
    assert rate == RATE
    assert np.abs(pcm.astype(int)).max() == pytest.approx(8000, rel=0.05)
    spectrum = np.abs(np.fft.rfft(pcm))
    assert np.argmax(spectrum) * RATE / len(pcm) == pytest.approx(440, abs=2)
    assert fake.closed == len(fake.opened) == 2
