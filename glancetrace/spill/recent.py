"""What was read last, for it is often asked for again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The last few values that `read` gave.

    Args:
        read: makes the value of a key. size: how many are kept.
    """

    def __init__(self, read: Callable[[Key], Value], size: int = 2) -> None:
        self._read = read
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self.size = size

    def __getitem__(self, key: Key) -> Value:
        value = self._values.pop(key, None)
        if value is None:
            while len(self._values) >= self.size:
                self._values.popitem(last=False)
            value = self._read(key)
        self._values[key] = value
        return value

    def clear(self) -> None:
        """Forget them all."""
        self._values.clear()
