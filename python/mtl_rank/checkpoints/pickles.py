"""Reads pickles without executing them.

A pickle is a program: its REDUCE opcode calls any function that its GLOBAL opcode can name. This machine knows the
opcodes that data needs, and instead of importing what a pickle names it looks it up in a table of stand-ins that the
caller gives. All else is noted by name and becomes a Refused, which may lie about but never reaches a caller: load()
raises an error with all of them. The semantics are those of torch.load(weights_only=True).

Time and memory stay in proportion to the file: names and keys are short, since a pickle of a few bytes can have them
compared again and again, and a pickle's objects are never printed, compared or hashed, for they may be as deep and as
entangled as its author likes. Stand-ins must do the same.

pickletools.genops, of the standard library, does the parsing; it executes nothing either.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..reader import quoted
from .checkpoint import CheckpointError

MAX_OPCODES = 5_000_000      # a state dict takes about 40 for each tensor
MAX_TEXT = 1_000             # of names and keys: longer ones take long to compare, and a pickle can do so often

Name = Tuple[str, str]       # module and name
# A stand-in for a function gets its arguments. One that is not callable is a value, such as a type of storage.
StandIns = Mapping[Name, Any]


@dataclass(frozen=True)
class Refused:
    """What a pickle asked for and did not get."""

    name: str


def shown(value: Any) -> str:
    """A value in an error. A pickle's may be endless when printed: lists that hold each other many times."""
    text = repr(value) if isinstance(value, (str, bytes)) and len(value) <= MAX_TEXT else type(value).__name__
    return text[:100]


class _Mark:
    """On the stack: where a tuple, a list or the items of a dict begin."""


@dataclass(frozen=True)
class _Global:
    module: str
    name: str


class _Machine:
    def __init__(self, stand_ins: StandIns, persistent: Optional[Callable[[Any], Any]], what: str):
        self.stand_ins = stand_ins
        self.persistent = persistent
        self.what = what
        self.stack: List[Any] = []
        self.memo: Dict[int, Any] = {}
        self.refused: Dict[str, None] = {}      # a set in the order of the pickle

    # ------------------------------------------------------------ the stack

    def fail(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.what}: {problem}")

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _Mark:
            raise self.fail("the pickle takes more from its stack than it has put there")
        return self.stack.pop()

    def last(self) -> Any:
        if not self.stack or self.stack[-1] is _Mark:
            raise self.fail("the pickle notes an object that is not there")
        return self.stack[-1]

    def pop_to_mark(self) -> List[Any]:
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] is _Mark:
                items = self.stack[position + 1:]
                del self.stack[position:]
                return items
        raise self.fail("the pickle misses a mark")

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise self.fail(f"the pickle changes a {kind.__name__} that is not there")
        return self.stack[-1]

    # ------------------------------------------------------------ names and calls

    def refuse(self, name: str) -> Refused:
        self.refused[name] = None
        return Refused(name)

    def refusal(self) -> Optional[CheckpointError]:
        """The error about all that was refused, if anything was."""
        if not self.refused:
            return None
        return self.fail(
            f"the pickle asks for {quoted(list(self.refused)[:20])}, which is code and is not executed; "
            f"save names and tensors alone, as with torch.save(model.state_dict(), path)"
        )

    def push_global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise self.fail("the pickle names something that is not text")
        if len(module) + len(name) > MAX_TEXT:
            raise self.fail(f"the pickle names something with more than {MAX_TEXT} characters")
        self.stack.append(_Global(module, name))

    def value(self, item: Any) -> Any:
        """The item as data: a name becomes its stand-in, if that is a value."""
        if not isinstance(item, _Global):
            return item
        stand_in = self.stand_ins.get((item.module, item.name))
        if stand_in is None or callable(stand_in):
            return self.refuse(f"{item.module}.{item.name}")
        return stand_in

    def call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(arguments, tuple):
            raise self.fail("the pickle calls with arguments that are no tuple")
        if not isinstance(function, _Global):
            name = function.name if isinstance(function, Refused) else type(function).__name__
            return self.refuse(name)
        stand_in = self.stand_ins.get((function.module, function.name))
        if not callable(stand_in):
            return self.refuse(f"{function.module}.{function.name}")
        if any(isinstance(argument, Refused) for argument in arguments):
            return Refused(f"{function.module}.{function.name}")
        try:
            return stand_in(*arguments)
        except (TypeError, AttributeError):
            raise self.fail(f"{function.module}.{function.name} is called with wrong arguments") from None

    def build(self) -> None:
        """BUILD gives an object its state: our stand-ins say what they make of it, an OrderedDict's is ignored."""
        state = self.pop()
        target = self.stack[-1] if self.stack else None
        if hasattr(target, "set_pickled_state"):
            target.set_pickled_state(state)
        elif not isinstance(target, (OrderedDict, Refused)):
            raise self.fail(f"the pickle gives a state to a {type(target).__name__}")

    # ------------------------------------------------------------ containers

    def set_items(self, items: List[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise self.fail("the pickle has a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            # Others, deeply nested tuples among them, need hashing, which may not end well.
            if not isinstance(key, (str, int)):
                raise self.fail(f"the pickle has a key of type {type(key).__name__}, expected text")
            if key.bit_length() > 64 if isinstance(key, int) else len(key) > MAX_TEXT:
                raise self.fail(f"the pickle has a key of more than {MAX_TEXT} characters, or 64 bits")
            target[key] = self.value(value)

    def take(self, opcode: str, argument: Any) -> None:
        """Executes one opcode."""
        stack = self.stack
        if opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _WITH_VALUE:
            stack.append(argument)
        elif opcode in _EMPTY:
            stack.append(_EMPTY[opcode]())
        elif opcode in ("PROTO", "FRAME"):
            pass
        elif opcode == "MARK":
            stack.append(_Mark)
        elif opcode == "POP":
            self.pop()
        elif opcode == "TUPLE":
            stack.append(tuple(map(self.value, self.pop_to_mark())))
        elif opcode in _TUPLES:
            items = [self.pop() for _ in range(_TUPLES[opcode])]
            stack.append(tuple(map(self.value, reversed(items))))
        elif opcode == "APPEND":
            item = self.value(self.pop())
            self.top(list).append(item)
        elif opcode == "APPENDS":
            items = self.pop_to_mark()
            self.top(list).extend(map(self.value, items))
        elif opcode == "SETITEM":
            value, key = self.pop(), self.pop()
            self.set_items([key, value])
        elif opcode == "SETITEMS":
            self.set_items(self.pop_to_mark())
        elif opcode in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = self.last()
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = self.last()
        elif opcode in ("BINGET", "LONG_BINGET", "GET"):
            if argument not in self.memo:
                raise self.fail(f"the pickle refers to its object {argument}, which is not there")
            stack.append(self.memo[argument])
        elif opcode == "GLOBAL":
            self.push_global(*argument.split(" ", 1))
        elif opcode == "STACK_GLOBAL":
            name, module = self.pop(), self.pop()
            self.push_global(module, name)
        elif opcode in ("REDUCE", "NEWOBJ"):
            arguments, function = self.pop(), self.pop()
            stack.append(self.call(function, arguments))
        elif opcode == "BUILD":
            self.build()
        elif opcode == "BINPERSID" and self.persistent is not None:
            stack.append(self.persistent(self.pop()))
        else:
            raise self.fail(f"the pickle has the opcode {opcode}, which no checkpoint needs")


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: Dict[str, Callable[[], Any]] = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_WITH_VALUE = {
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "BINSTRING", "SHORT_BINSTRING",
}


def empty_ordered_dict(*arguments: Any) -> "OrderedDict[str, Any]":
    """The stand-in for collections.OrderedDict, whose items follow its creation."""
    if arguments:
        raise CheckpointError("the pickle creates an OrderedDict from arguments")
    return OrderedDict()


def convert_leaves(content: Any, convert: Callable[[str, Any], Any]) -> Any:
    """Applies convert(name, value) to values in a dict, or in one within it, where checkpoints have their weights.

    A dict that is there under several names is converted once. What lies deeper stays as it is.
    """
    done: Dict[int, Dict[Any, Any]] = {}

    def inner(items: Dict[Any, Any]) -> Dict[Any, Any]:
        if id(items) not in done:
            done[id(items)] = {key: value if isinstance(value, dict) else convert(str(key), value)
                               for key, value in items.items()}
        return done[id(items)]

    if not isinstance(content, dict):
        return convert("", content)
    return {key: inner(value) if isinstance(value, dict) else convert(str(key), value) for key, value in content.items()}


def load(
    data: Any, stand_ins: StandIns, *, what: str, persistent: Optional[Callable[[Any], Any]] = None
) -> Any:
    """The object that a pickle describes; `data` is bytes, or a file of which just the pickle is read.

    stand_ins: (module, name) -> a function, called in place of the one so named, or a value. persistent: what persistent
    identifiers stand for. what: the file, for errors. Everything that was refused is in one error, by name.
    """
    machine = _Machine(stand_ins, persistent, what)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count >= MAX_OPCODES:
                raise machine.fail(f"the pickle has more than {MAX_OPCODES} opcodes")
            if opcode.name == "STOP":
                break
            machine.take(opcode.name, argument)
        result = machine.value(machine.pop())
    except CheckpointError as error:
        # What was refused before says more than what went wrong without it.
        raise machine.refusal() or (error if str(error).startswith(what) else machine.fail(str(error))) from None
    except (ValueError, IndexError, OverflowError) as error:
        raise machine.fail(f"not a pickle, or a damaged one: {str(error)[:200]}") from None
    refusal = machine.refusal()
    if refusal:
        raise refusal
    return result
