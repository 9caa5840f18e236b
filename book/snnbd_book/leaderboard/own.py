"""An attack in a reader's own file: loaded, and tried on samples before anything is trained."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from snnbd_book.runs import codec, parts
from snnbd_core.poisoning import Triggered
from snnbd_core.triggers import Recipe, Trigger

__all__ = ["AttackError", "Own", "load", "placed", "tried"]

_NEEDED = "a frozen dataclass with a field `space` and a `__call__`, as chapter 11 shows"
_SAMPLES = 8  # that are tried
_ROUNDING = 0.01  # of all that a trigger changes; a network's sums round otherwise in a batch


class AttackError(ValueError):
    """A fault of a reader's attack; names file, place and remedy."""


@dataclass(frozen=True)
class Own:
    """A reader's attack: its name, its trigger, and the file that it stands in."""

    name: str
    trigger: Any
    path: Path


def load(named: str) -> Own:
    """The attack of a file, which is executed.

    Its class gets the first digits of the file's sha256 into its name, by which records and
    caches know it: an edited attack is another one. What the file imports is not watched.

    Args:
        named: "my_attack.py", or "my_attack.py:Name" where the file has several.

    Raises:
        AttackError: no such file, one that is no Python or raises,
            that holds no attack or several, a class that cannot be built or changes after it was.
    """
    path, wanted = _parted(named)
    text = _text(path)
    module = _executed(path, text)
    found = _triggers(module)
    if wanted:
        if wanted not in found:
            raise AttackError(f"{path} holds no attack {wanted!r}: {_those(found, path)}")
        name = wanted
    elif len(found) == 1:
        (name,) = found
    else:
        raise AttackError(f"{path} holds {len(found) or 'no'} attacks: {_those(found, path)}")
    trigger = _built(name, found[name], path)
    kind = type(trigger)
    if kind.__module__ == module.__name__:
        kind.__name__ = f"{kind.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        parts.TRIGGERS[kind.__name__] = kind
    elif kind not in parts.TRIGGERS.values():
        raise AttackError(
            f"{path}: {name} is a {kind.__name__} of {kind.__module__}: put its class into {path}"
        )
    try:
        codec.canonical(codec.part_to_dict(trigger))
    except (TypeError, ValueError) as error:
        raise AttackError(
            f"{path}: a record cannot hold the fields of {name} ({error}): use numbers, texts and "
            "tuples of them"
        ) from error
    return Own(name, trigger, path)


def tried(own: Own, trigger: Trigger, data: Any) -> None:
    """Calls a trigger on a few samples.

    Args:
        own: whose it is, for errors.
        trigger: the attack's, or what its recipe gave.
        data: the reported samples.

    Raises:
        AttackError: it raises, changes what it is given, gives another shape or type or what is
            not finite, answers differently the second time, or a sample alone otherwise than in a
            batch.
    """
    where = f"{own.path}: {own.name}"
    few = data.subset(np.arange(min(_SAMPLES, len(data))))
    with placed(own):
        triggered = _refused(own, Triggered, few, trigger)
        recording = trigger.space == "events"
        sample = few.events(0) if recording else few.batch(np.arange(len(few)))[0]
        kept = _copy(sample)
        first = trigger(sample)
        if not _equal(sample, kept):
            copied = "events.copy()" if recording else "frames.clone()"
            raise AttackError(f"{where} changes its input in place: copy it first, as in {copied}")
        _check_alike(where, first, sample, recording)
        _refused(own, triggered.batch, np.arange(len(few)))
        if not _equal(first, trigger(kept)):
            raise AttackError(
                f"{where} gives another answer when it is called again: draw from a seed that is "
                "one of its fields"
            )
        if not recording:
            alone = torch.cat([_refused(own, trigger, one) for one in kept.split(1)])
            if (alone - first).abs().sum() > _ROUNDING * (first - kept).abs().sum():
                raise AttackError(
                    f"{where} depends on the other samples of a batch: reduce over a sample's own "
                    "axes, the last 4 of frames and the last 3 of images, and draw one pattern for "
                    "all samples"
                )


@contextmanager
def placed(own: Own) -> Iterator[None]:
    """An error that comes out of the file names its line; others pass.

    Raises:
        AttackError: as said.
    """
    try:
        yield
    except AttackError:
        raise
    except Exception as error:
        if place := _place(error, own.path):
            raise AttackError(_told(own.path, place, error)) from error
        raise


def _refused(own: Own, call: Callable[..., Any], *given: Any) -> Any:
    """What a call of the library gives; its refusal names the file."""
    try:
        return call(*given)
    except ValueError as error:
        place = _place(error, own.path)
        told = _told(own.path, place, error) if place else f"{own.path}: {error}"
        raise AttackError(told) from error


def _parted(named: str) -> tuple[Path, str]:
    path = Path(named)
    if path.is_file() or ":" not in named:
        wanted = ""
    else:
        file, _, wanted = named.rpartition(":")
        path = Path(file)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise AttackError(f"{path} {what}: give a Python file that holds an attack, {_NEEDED}")
    return path.resolve(), wanted


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise AttackError(f"{path}, byte {error.start}: is no text in UTF-8: save it so") from error


def _executed(path: Path, text: str) -> ModuleType:
    """The module of a file, with its own folder to import from."""
    module = ModuleType(f"attack_in_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent))
    try:
        exec(compile(text, str(path), "exec"), vars(module))
    except SyntaxError as error:
        raise AttackError(
            f"{path}, line {error.lineno}: {error.msg}: correct it; `python {path.name}` shows the "
            "place"
        ) from error
    except (Exception, SystemExit) as error:
        place = _place(error, path)
        raise AttackError(_told(path, place, error)) from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _triggers(module: ModuleType) -> dict[str, Any]:
    """Instances of triggers that a file names, or, where there are none, its classes of them."""
    named = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    instances = {
        name: value
        for name, value in named.items()
        if not isinstance(value, type | ModuleType) and isinstance(value, Trigger | Recipe)
    }
    classes = {
        name: value
        for name, value in named.items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and any(vars(base).keys() & {"__call__", "fit"} for base in value.__mro__)
        and _has_space(value)
    }
    return instances or classes


def _has_space(kind: type) -> bool:
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return hasattr(kind, "space") or "space" in {item.name for item in fields}


def _those(found: dict[str, Any], path: Path) -> str:
    if not found:
        return f"write one, {_NEEDED}"
    return f"it has {', '.join(found)}; say which, as in {path.name}:{next(iter(found))}"


def _built(name: str, found: Any, path: Path) -> Any:
    """The attack, made from its class where that is what was found."""
    kind = found if isinstance(found, type) else type(found)
    if not dataclasses.is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # dataclass sets it
        raise AttackError(
            f"{path}: {name} is no frozen dataclass, so its settings could change between a run "
            "and its record: write @dataclass(frozen=True) above the class"
        )
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:
        raise AttackError(
            f"{path}: {name}() fails with {type(error).__name__}: {error}: give each field a "
            f"default, or make an instance in the file, as in attack = {name}(...)"
        ) from error


def _check_alike(where: str, given: Any, sample: Any, recording: bool) -> None:
    """What a trigger gave must be of the kind, type and (but for events) shape of what it got."""
    if type(given) is not type(sample):
        wanted = type(sample).__name__
        raise AttackError(
            f"{where} gives a {type(given).__name__}: return a {wanted}, as it is given"
        )
    if given.dtype != sample.dtype:
        raise AttackError(f"{where} gives {given.dtype}: return {sample.dtype}, as it is given")
    if not recording and given.shape != sample.shape:
        raise AttackError(
            f"{where} gives shape {tuple(given.shape)} for {tuple(sample.shape)}: return the shape "
            "that it is given"
        )


def _copy(sample: Any) -> Any:
    return sample.clone() if isinstance(sample, torch.Tensor) else sample.copy()


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return bool(torch.equal(one, other))
    return bool(np.array_equal(one, other))


def _place(error: BaseException, path: Path) -> str:
    """ "line 7, in __call__" of the last line in a file that an error went through."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
    return f"line {frames[-1].lineno}, in {frames[-1].name}" if frames else ""


def _told(path: Path, place: str, error: BaseException) -> str:
    where = f"{path}, {place}" if place else str(path)
    if isinstance(error, SystemExit):
        return f'{where}: ends the program: put that below `if __name__ == "__main__":`'
    return f"{where}: {type(error).__name__}: {error}: correct it and run the command again"
