"""A reader's attack in a file: what is found, and how faults are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snnbd_book.leaderboard.own import AttackError, Own, load, tried
from snnbd_book.runs import Experiment
from snnbd_core import data
from snnbd_core.triggers import Static

HEAD = "from dataclasses import dataclass\n\n"
CLASS = """
@dataclass(frozen=True, kw_only=True)
class {name}:
    size: int = 3
    space: str = "{space}"

    def __call__(self, frames):
        {body}
"""
GOOD = "out = frames.clone(); out[..., 1, : self.size, 0] = 1; return out"
Write = Callable[..., Path]


def attack(body: str = GOOD, name: str = "Bar", space: str = "frames") -> str:
    return CLASS.format(name=name, body=body, space=space)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(HEAD + text, encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="module")
def recordings() -> data.SampleSet:
    """Ten recordings of two events each."""
    raw = [np.array([(3, 5, 0, 1), (4, 5, 90 + n, 0)], data.EVENT_DTYPE) for n in range(10)]
    return data.from_events(raw, list(range(10)), sensor_size=(8, 8, 2), frames=2)


def test_the_only_attack_of_a_file_is_found_and_makes_an_experiment(write: Write) -> None:
    own = load(str(write(attack())))
    assert own.name == "Bar" and own.trigger.size == 3
    experiment = Experiment(trigger=own.trigger, rate=0.1)
    assert experiment.name.startswith("digits-events-bar_")
    assert Experiment.from_json(experiment.to_json()) == experiment


def test_an_edited_attack_is_another_experiment_and_the_same_text_the_same(write: Write) -> None:
    hashes = [
        Experiment(trigger=load(str(write(text))).trigger, rate=0.1).hash
        for text in (attack(), attack(), attack(GOOD.replace("= 1", "= 2")))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_instance_is_taken_before_its_class(write: Write) -> None:
    assert load(str(write(attack() + "\nmine = Bar(size=2)\n"))).trigger.size == 2


def test_one_of_several_is_named_behind_a_colon(write: Write) -> None:
    path = write(attack() + attack(name="Dot"))
    assert load(f"{path}:Dot").name == "Dot"


def test_a_library_trigger_with_other_settings_stays_what_it_is(write: Write) -> None:
    text = "from snnbd_core.triggers import Static\n\nbig = Static(size=0.3)\n"
    assert load(str(write(text))).trigger == Static(size=0.3)


def test_a_file_may_import_its_neighbour(write: Write) -> None:
    write("LENGTH = 5\n", "neighbour_of_mine.py")
    text = "from neighbour_of_mine import LENGTH\n" + attack().replace("= 3", "= LENGTH")
    assert load(str(write(text))).trigger.size == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "mine.py holds no attacks: write one, a frozen dataclass with a field `space`"),
        ("class Bar:\n    pass\n", "holds no attacks: write one"),
        (attack() + attack(name="Dot"), "holds 2 attacks: it has Bar, Dot; say which, as in mine"),
        (attack().replace("frozen=True, ", ""), "Bar is no frozen dataclass"),
        (attack().replace("int = 3", "int"), "Bar() fails with TypeError"),
        ("def broken(:\n", "mine.py, line 3: invalid syntax: correct it"),
        ("\n1 / 0\n", "mine.py, line 4, in <module>: ZeroDivisionError"),
        ("import nothing_of_this_name\n", "mine.py, line 3, in <module>: ModuleNotFoundError"),
        ("raise SystemExit\n", "mine.py, line 3, in <module>: ends the program"),
        (attack().replace("int = 3", "object = print"), "cannot hold the fields of Bar"),
    ],
)
def test_a_file_without_a_usable_attack_is_refused_with_file_place_and_remedy(
    write: Write, text: str, said: str
) -> None:
    with pytest.raises(AttackError) as told:
        load(str(write(text)))
    assert said in str(told.value)
    assert "mine.py" in str(told.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path, write: Write) -> None:
    with pytest.raises(AttackError, match=r"none\.py does not exist: give a Python file"):
        load(str(tmp_path / "none.py"))
    with pytest.raises(AttackError, match=r"none\.py does not exist"):
        load(str(tmp_path / "none.py:Bar"))
    with pytest.raises(AttackError, match="is a folder: give a Python file"):
        load(str(tmp_path))
    with pytest.raises(AttackError, match=r"holds no attack 'Dot': it has Bar"):
        load(f"{write(attack())}:Dot")
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'")
    with pytest.raises(AttackError, match=r"bytes\.py, byte 5: is no text in UTF-8"):
        load(str(tmp_path / "bytes.py"))


def trial(write: Write, recordings: data.SampleSet, body: str, space: str = "frames") -> None:
    own = load(str(write(attack(body, space=space))))
    tried(own, own.trigger, recordings)


def test_a_good_attack_passes_its_trial(write: Write, recordings: data.SampleSet) -> None:
    trial(write, recordings, GOOD)
    alone = "return frames + frames.amax((-4, -3, -2, -1), keepdim=True)"
    trial(write, recordings, alone)
    trial(write, recordings, "out = frames.copy(); out['x'] = self.size; return out", "events")


@pytest.mark.parametrize(
    ("body", "space", "said"),
    [
        ("frames[..., 0, 0] = 1; return frames", "frames", "mine.py: Bar changes its input in "
         "place: copy it first, as in frames.clone()"),
        ("frames['x'] = 1; return frames", "events", "place: copy it first, as in events.copy()"),
        ("return frames[..., :4]", "frames", "gives shape (8, 2, 2, 8, 4) for (8, 2, 2, 8, 8)"),
        ("return frames.double()", "frames", "gives torch.float64: return torch.float32"),
        ("return frames.numpy().copy()", "frames", "gives a ndarray: return a Tensor, as it is"),
        ("return None", "frames", "gives a NoneType: return a Tensor"),
        ("raise KeyError('x')", "frames", "mine.py, line 10, in __call__: KeyError: 'x': correct"),
        ("return frames.clone() + 1 / frames.sum() * 0 + float('nan')", "frames", "gives NaN"),
        ("import torch; return frames + torch.rand(1)", "frames", "gives another answer when it is"
         " called again: draw from a seed"),
        ("out = frames.clone(); out[..., 0, 0] = frames.sum(); return out", "frames", "mine.py: "
         "Bar depends on the other samples of a batch: reduce over a sample's own axes"),
        ("import torch; draw = torch.Generator().manual_seed(0); return frames + torch.rand("
         "frames.shape, generator=draw)", "frames", "depends on the other samples of a batch"),
        (GOOD, "image", "mine.py: trigger=Bar(size=3, space='image') works in space 'image'"),
        ("return frames[::-1].copy()", "events", "mine.py: "),
    ],
)  # fmt: skip
def test_an_attack_that_is_none_is_refused_before_anything_is_trained(
    write: Write, recordings: data.SampleSet, body: str, space: str, said: str
) -> None:
    with pytest.raises(AttackError) as told:
        trial(write, recordings, body, space)
    assert said in str(told.value)


def test_a_fault_elsewhere_is_not_laid_on_the_file(recordings: data.SampleSet) -> None:
    class Broken:
        """Samples that cannot be taken out."""

        def __len__(self) -> int:
            return 3

        def subset(self, rows: object) -> Broken:
            return self

        def events(self, row: int) -> None:
            raise LookupError("no such recording")

        batch = events

    static = Static()
    with pytest.raises(LookupError, match="no such recording"):
        tried(Own("Static", static, Path("mine.py")), static, Broken())
