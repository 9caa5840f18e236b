"""A card in Python: numbers stay in the computer's memory, and mixing devices is an error.

torch lets a device of another name be written in Python. This one holds an ordinary tensor, and
each operation on it is done on that one. What fails on a card fails here with the same kind of
error: tensors of two devices in one operation, an index or a generator of another device, and
NumPy. So code that has never seen a card can be tested for what it puts where. It cannot be tested
for speed, memory, rounding or kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "card"
CARD = torch.device("cpu")  # until `registered` has made it
COPIES = (
    "aten._to_copy.default",
    "aten.copy_.default",
    "aten.to.device",
    "aten.to.dtype_layout",
    "aten.to.other",
)
INDEXED = ("aten.index.", "aten.index_put", "aten._index_put", "aten._unsafe_index")
JOINED = ("aten.cat.", "aten.stack.")
TO_PYTHON = ("aten._local_scalar_dense.default", "aten.equal.default")


class _Module(backend_registration._DummyBackendModule):
    """What torch asks a device for."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def registered() -> torch.device:
    """The card, for the rest of the process; torch knows no way back."""
    global CARD
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    CARD = torch.device(NAME, 0)
    return CARD


class OnCard(Tensor):
    """A tensor of the card; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnCard:
        made = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=CARD
        )
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnCard({self.held})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            made = OnCard(self.held.clone())
            asks = self.requires_grad
            whole = isinstance(self, nn.Parameter)
            memo[id(self)] = nn.Parameter(made, asks) if whole else made.requires_grad_(asks)
        return memo[id(self)]

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, value: OnCard) -> None:
        Tensor.data.__set__(self, value)
        self.held = value.held

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert {self.device} device type tensor to numpy")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return done(function, args, kwargs or {})


def done(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """An operation on the tensors that are held.

    Raises:
        RuntimeError: tensors, an index or a generator of two devices.
    """
    name, leaves = str(function), tree_leaves((args, kwargs))
    there = {id(leaf.held): leaf for leaf in leaves if isinstance(leaf, OnCard)}
    onto = _goes_there(name, leaves, bool(there), args)
    if there and name not in COPIES:
        _check_devices(name, args, leaves)
    if onto and any(isinstance(leaf, torch.Generator) for leaf in leaves):
        raise RuntimeError(f"{name}: a generator of the CPU for numbers on the card")
    out = function(*tree_map(_here, args), **tree_map(_here, dict(kwargs)))

    def put(value: Any) -> Any:
        if not onto or not isinstance(value, Tensor):
            return value
        return there[id(value)] if id(value) in there else OnCard(value)

    return tree_map(put, out)


def _goes_there(name: str, leaves: list[Any], any_there: bool, args: tuple[Any, ...]) -> bool:
    """Whether an operation's result lies on the card."""
    if name in TO_PYTHON:
        return False
    if name == "aten.copy_.default":
        return isinstance(args[0], OnCard)
    if name == "aten.to.other":
        return isinstance(args[1], OnCard)
    named = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
    return named[0].type == NAME if named else any_there


def _check_devices(name: str, args: tuple[Any, ...], leaves: list[Any]) -> None:
    indexed = name.startswith(INDEXED)
    if indexed and not isinstance(args[0], OnCard):
        raise RuntimeError(f"{name}: an index on the card into a tensor of the CPU")
    indices = {id(leaf) for leaf in tree_leaves(args[1:2])} if indexed else set()
    changed, joined = "_." in name, name.startswith(JOINED)
    for leaf in leaves:
        if not isinstance(leaf, Tensor) or isinstance(leaf, OnCard) or id(leaf) in indices:
            continue  # torch copies an index to the device
        if leaf.dim() == 0 and not joined and not (changed and leaf is args[0]):
            continue  # a number of the CPU goes into most operations
        shapes = [tuple(tensor.shape) for tensor in leaves if isinstance(tensor, Tensor)]
        raise RuntimeError(f"{name}: tensors on the card and on the CPU, of shapes {shapes}")


def _here(value: Any) -> Any:
    if isinstance(value, OnCard):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


class _Operations(TorchDispatchMode):
    """Operations that no tensor of the card is given to, for they make one."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return done(function, args, kwargs or {})


class _Constructors(TorchFunctionMode):
    """What copies to a device where no operation is seen: numbers and lists of Python."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            made = args[0] if isinstance(args[0], Tensor) else function(*args, **kwargs)
            return made.to(device, kwargs.get("dtype") or made.dtype)
        if function is Tensor.__getitem__ and isinstance(args[1], tuple):
            places = (torch.tensor(one) if isinstance(one, list) else one for one in args[1])
            args = (args[0], tuple(places))
        return function(*args, **kwargs)


@contextmanager
def on_card() -> Iterator[None]:
    """A block whose tensors may lie on the card."""
    with _Operations(), _Constructors():
        yield
