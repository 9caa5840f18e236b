"""Neighbouring numbers of an array at once: vectors of LLVM's as numbers of numba's.

`load` and `store` move as many numbers as fill a cache line; between them one computes as with
single numbers, by ``+ - * / abs < <= > >=`` and `select`. Written so, a loop is vector code by
itself, may write past the cache and may fetch ahead line by line, which a loop that LLVM turns
into vector code cannot. Below are the pointers and counters of compiled code that several threads
share.

numba has no bfloat16. An array of uint16 is taken as one: a bfloat16 is the upper half of a
float32. `load` gives the float32, `store` cuts the lower half off; where it is not 0, as in a
spike, values are `rounded` before.
"""

# Types are left to numba, as in cpu_loops.py.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

_WORD = ir.IntType(32)


class Lanes(types.Type):
    """``count`` numbers of a type."""

    def __init__(self, number: types.Float, count: int) -> None:
        self.number, self.count = number, count
        super().__init__(f"Lanes({number}, {count})")


class Chosen(types.Type):
    """Which of ``count`` numbers a comparison holds for."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(f"Chosen({count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        element = ir.FloatType() if lanes.number == types.float32 else ir.DoubleType()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


@register_model(Chosen)
class _ChosenModel(models.PrimitiveModel):
    def __init__(self, manager, chosen):
        super().__init__(manager, chosen, ir.VectorType(ir.IntType(1), chosen.count))


def _operator(function, gives, generate):
    """Lets an operator take two `Lanes` of one kind."""

    @type_callable(function)
    def typed(context):
        return lambda a, b: gives(a) if isinstance(a, Lanes) and a == b else None

    @lower_builtin(function, Lanes, Lanes)
    def lowered(context, builder, signature, values):
        return generate(builder, *values)


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(
        _function,
        lambda a: a,
        lambda builder, a, b, _name=_name: getattr(builder, _name)(a, b),
    )
for _function, _sign in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
):
    _operator(
        _function,
        lambda a: Chosen(a.count),
        lambda builder, a, b, _sign=_sign: builder.fcmp_ordered(_sign, a, b),
    )


@type_callable(abs)
def _abs_typed(context):
    return lambda a: a if isinstance(a, Lanes) else None


@lower_builtin(abs, Lanes)
def _abs_lowered(context, builder, signature, values):
    kind, lanes = values[0].type, signature.args[0]
    name = f"llvm.fabs.v{lanes.count}f{lanes.number.bitwidth}"
    absolute = get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
    return builder.call(absolute, values)


@intrinsic
def select(typing, chosen, a, b):
    """a where it was chosen, else b."""

    def generate(context, builder, signature, values):
        return builder.select(*values)

    return a(chosen, a, b), generate


@intrinsic(prefer_literal=True)
def fill(typing, number, count):
    """A number in so many lanes; the count is a constant."""
    return Lanes(number, count.literal_value)(number, count), _filled


@intrinsic
def spread(typing, number, like):
    """A number in as many lanes as ``like`` has."""
    return like(number, like), _filled


def _filled(context, builder, signature, values):
    vector = context.get_value_type(signature.return_type)
    filled = ir.Constant(vector, ir.Undefined)
    for lane in range(vector.count):
        filled = builder.insert_element(filled, values[0], ir.IntType(32)(lane))
    return filled


@intrinsic
def count(typing, lanes):
    """How many numbers there are in a value."""

    def generate(context, builder, signature, values):
        return context.get_constant(types.intp, lanes.count)

    return types.intp(lanes), generate


@intrinsic
def load(typing, array, i, like):
    """array[i:] as many as ``like`` has."""

    def generate(context, builder, signature, values):
        vector = context.get_value_type(signature.return_type)
        kind = _halves(vector.count) if array.dtype == types.uint16 else vector
        address = _address(context, builder, signature, values, kind)
        loaded = builder.load(address, align=array.dtype.bitwidth // 8)
        return _widened(builder, loaded, vector) if kind != vector else loaded

    return like(array, i, like), generate


@intrinsic
def rounded(typing, values, array):
    """Values as near as an array of uint16 can hold them, of two the even one; else themselves."""

    def generate(context, builder, signature, given):
        if array.dtype != types.uint16:
            return given[0]
        words = ir.VectorType(_WORD, values.count)
        bits = builder.bitcast(given[0], words)
        odd = builder.and_(builder.lshr(bits, _all(words, 16)), _all(words, 1))
        near = builder.add(bits, builder.add(odd, _all(words, 0x7FFF)))
        nan = builder.fcmp_unordered("uno", given[0], given[0])
        return builder.bitcast(builder.select(nan, _all(words, 0x7FC00000), near), given[0].type)

    return values(values, array), generate


@intrinsic
def store(typing, array, i, lanes):
    """array[i:] = lanes"""

    def generate(context, builder, signature, values):
        held = _as_held(builder, array, values[2])
        address = _address(context, builder, signature, values, held.type)
        builder.store(held, address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, i, lanes), generate


@intrinsic
def store_past(typing, array, i, lanes):
    """As `store`, without fetching into the cache what is overwritten.

    array[i] must lie at a multiple of the lanes' size. Needs a `fence` before others read.
    """

    def generate(context, builder, signature, values):
        held = _as_held(builder, array, values[2])
        address = _address(context, builder, signature, values, held.type)
        written = builder.store(held, address, align=lanes.count * array.dtype.bitwidth // 8)
        written.set_metadata("nontemporal", builder.module.add_metadata([_WORD(1)]))
        return context.get_dummy_value()

    return types.void(array, i, lanes), generate


@intrinsic
def fetch(typing, array, i):
    """Has array[i] on its way into the second-level cache. i may lie past the end."""

    def generate(context, builder, signature, values):
        word, byte = ir.IntType(32), ir.IntType(8)
        address = _address(context, builder, signature, values, byte)
        form = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word])
        prefetch = get_or_insert_function(builder.module, form, "llvm.prefetch.p0")
        builder.call(prefetch, [address, word(0), word(2), word(1)])  # for reading, into level 2
        return context.get_dummy_value()

    return types.void(array, i), generate


@intrinsic
def fence(typing):
    """All that was written is there for other threads before anything that comes after."""

    def generate(context, builder, signature, values):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def counted(typing, counters, which):
    """Adds 1 to one of the 64-bit counters at a pointer, atomically; gives what it was."""

    def generate(context, builder, signature, values):
        word = ir.IntType(64)
        counter = builder.gep(builder.bitcast(values[0], word.as_pointer()), [values[1]])
        return builder.atomic_rmw("add", counter, word(1), "monotonic")

    return types.int64(counters, types.int64), generate


@intrinsic
def pointer(typing, address):
    """A number as a pointer."""

    def generate(context, builder, signature, values):
        return builder.inttoptr(values[0], ir.IntType(8).as_pointer())

    return types.voidptr(address), generate


def _halves(count):
    return ir.VectorType(ir.IntType(16), count)


def _widened(builder, halves, vector):
    """bfloat16 as float32, whose upper half it is."""
    words = ir.VectorType(_WORD, vector.count)
    return builder.bitcast(builder.shl(builder.zext(halves, words), _all(words, 16)), vector)


def _as_held(builder, array, values):
    """Values as an array holds them: as they are, or the upper halves of float32."""
    if array.dtype != types.uint16:
        return values
    words = ir.VectorType(_WORD, values.type.count)
    upper = builder.lshr(builder.bitcast(values, words), _all(words, 16))
    return builder.trunc(upper, _halves(values.type.count))


def _all(vector, number):
    return ir.Constant(vector, [number] * vector.count)


def _address(context, builder, signature, values, kind):
    """Where array[i] lies, as a pointer to a kind; arrays are contiguous and of one axis."""
    data = context.make_array(signature.args[0])(context, builder, values[0]).data
    return builder.bitcast(builder.gep(data, [values[1]]), kind.as_pointer())
