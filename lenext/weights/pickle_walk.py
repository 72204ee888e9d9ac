"""A walk through the instructions of a pickle: what it would make is followed, and nothing is made.

A checkpoint needs few instructions, and few things that they name. All others are refused here, as is what only makes
work: keys that are no text, attributes that are set, functions that are called with something else than a tensor needs.
"""

from __future__ import annotations

import pickletools
import re
from dataclasses import dataclass, field
from typing import IO, Any

from lenext.errors import UserError

MOST_INSTRUCTIONS = 600_000  # a tensor takes some twenty
STORAGES = {
    "Double": 8,
    "Float": 4,
    "Half": 2,
    "BFloat16": 2,
    "Long": 8,
    "Int": 4,
    "Short": 2,
    "Char": 1,
    "Byte": 1,
    "Bool": 1,
    "ComplexFloat": 8,
    "ComplexDouble": 16,
    "Untyped": 1,
    "Float8_e4m3fn": 1,
    "Float8_e5m2": 1,
}  # fmt: skip  bytes an element
STORAGE = re.compile(r"torch(?:\.storage)?\.(\w+)Storage")
ORDERED = "collections.OrderedDict"
CALLED = {ORDERED, "torch.Size", "torch.device"} | {
    f"torch._utils._rebuild_{what}" for what in ("tensor", "tensor_v2", "tensor_v3", "parameter")
}
KIND = re.compile(r"torch\.(bool|(b?float|double|half|u?int|long|short|complex)\w*)")  # of number
ATOMS = {"NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT"}
NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1"}
TEXTS = {"BINUNICODE", "SHORT_BINSTRING"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class RefusedError(Exception):
    """A pickle that no checkpoint needs; the message says what is in it."""


@dataclass
class _Named:
    """Something that the pickle names: a class, a function, a kind of number."""

    name: str


@dataclass
class _Mapping:
    keys: set[Any] = field(default_factory=set)


@dataclass
class _Items:
    """A list, or a tuple."""

    items: list[Any]


class _Made:
    """What a call gave, or a value of which nothing matters."""


@dataclass(frozen=True)
class Storage:
    """The numbers of one or more tensors: the key of its record in the file, and how many bytes it claims."""

    key: str
    bytes: int


class Walk:
    """Follows the instructions of one pickle after another; `storages` are all that they claim, by key."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._count = 0

    def follow(self, pickled: bytes | IO[bytes]) -> None:
        """Follow one pickle to its end.

        Raises:
            RefusedError: an instruction or a name that no checkpoint needs.
            ValueError: no pickle, or one that breaks off.
        """
        stack: list[Any] = []
        marks: list[list[Any]] = []
        memo: dict[int, Any] = {}
        argument: Any
        for operation, argument, _ in pickletools.genops(pickled):
            name = operation.name
            self._count += 1
            if self._count > MOST_INSTRUCTIONS:
                raise RefusedError("has more instructions than weights need")
            try:
                if name in ("BINPUT", "LONG_BINPUT"):
                    memo[argument] = stack[-1]
                elif name in ("BINGET", "LONG_BINGET"):
                    stack.append(memo[argument])
                elif name == "MARK":
                    marks.append(stack)
                    stack = []
                elif name in ("TUPLE", "APPENDS", "SETITEMS"):
                    items, stack = stack, marks.pop()
                    self._gather(name, stack, items)
                else:
                    self._step(name, argument, stack)
            except (IndexError, KeyError, AttributeError) as error:
                raise ValueError("the stack runs empty") from error

    def _gather(self, name: str, stack: list[Any], items: list[Any]) -> None:
        if name == "TUPLE":
            stack.append(_Items(items))
        elif name == "APPENDS":
            stack[-1].items.extend(items)
        else:
            self._set(stack[-1], items[::2])

    def _step(self, name: str, argument: Any, stack: list[Any]) -> None:
        if name in TEXTS or name in NUMBERS:
            stack.append(argument)
        elif name in ATOMS:
            stack.append(_Made())
        elif name in ("EMPTY_TUPLE", "EMPTY_LIST"):
            stack.append(_Items([]))
        elif name == "EMPTY_DICT":
            stack.append(_Mapping())
        elif name in TUPLES:
            items = [stack.pop() for _ in range(TUPLES[name])]
            stack.append(_Items(items[::-1]))
        elif name == "APPEND":
            item = stack.pop()
            stack[-1].items.append(item)
        elif name == "SETITEM":
            stack.pop()
            key = stack.pop()
            self._set(stack[-1], [key])
        elif name == "GLOBAL":
            stack.append(_Named(_allowed(str(argument).replace(" ", "."))))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_called(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], _Mapping) or not state.keys <= {"_metadata"}:
                raise RefusedError("sets attributes of what it holds")
        elif name not in ("PROTO", "STOP"):
            raise RefusedError(f"has an instruction {name}, which could run code")

    def _set(self, mapping: Any, keys: list[Any]) -> None:
        for key in keys:
            if not isinstance(key, str | int):
                raise RefusedError("holds a dictionary whose keys are no text")
            mapping.keys.add(key)

    def _storage(self, told: Any) -> _Made:
        kind, named, key, location, count = told.items[:5]
        found = STORAGE.fullmatch(getattr(named, "name", ""))
        if kind != "storage" or found is None or not isinstance(key, str) or not isinstance(location, str):
            raise RefusedError("refers to something that is no tensor")
        if not isinstance(count, int) or count < 0 or found[1] not in STORAGES:
            raise RefusedError(f"holds a tensor of {count} numbers")
        size = max(count * STORAGES[found[1]], self.storages[key].bytes if key in self.storages else 0)
        self.storages[key] = Storage(key, size)
        return _Made()


def _allowed(name: str) -> str:
    """Return a name that a checkpoint may use."""
    storage = STORAGE.fullmatch(name)
    if name in CALLED or KIND.fullmatch(name) or (storage and storage[1] in STORAGES):
        return name
    raise RefusedError(f"names {name[:100]}, and loading that could run code")


def _called(function: Any, arguments: Any) -> _Made | _Mapping:
    """Return what a call makes; an ordered dictionary may be made of pairs, as Python 2 wrote it."""
    if not isinstance(function, _Named) or function.name not in CALLED or not isinstance(arguments, _Items):
        raise RefusedError("calls something that makes no tensor")
    if function.name != ORDERED:
        return _Made()
    pairs = arguments.items[0].items if arguments.items else []
    keys = {pair.items[0] if isinstance(pair, _Items) and len(pair.items) == 2 else None for pair in pairs}
    if len(arguments.items) > 1 or not all(isinstance(key, str) for key in keys):
        raise RefusedError("holds a dictionary whose keys are no text")
    return _Mapping(keys)


def refusal(where: object, error: RefusedError) -> UserError:
    """Return the user's error for a pickle that was refused."""
    return UserError(f"{where} is refused: its pickle {error}; save the state_dict() alone, or as .safetensors")
