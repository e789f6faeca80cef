"""One tree of errors: each says what happened, with the offending value, and what to type next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar, Self


class SterlingError(Exception):
    """Something Sterling could not do, and how to mend it.

    Args:
        message: what happened, with the offending value.
        mend: what the user can type or change to get further.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, mend: str) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}\n  To mend: {self.mend}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions with keyword-only arguments do not survive pickling by themselves,
        # and worker processes send errors home by pickle.
        return (_rebuild, (type(self), self.message, self.mend))


def _rebuild(kind: type[SterlingError], message: str, mend: str) -> SterlingError:
    return kind(message, mend=mend)


class InputError(SterlingError):
    """Usage, or input that is unreadable, misnamed or unrelated: exit code 2, never a traceback."""

    exit_code = 2


class UnreadableInput(InputError):
    """A path, file or byte stream that cannot be read as what it claims to be."""


class UnrelatedInput(InputError):
    """Sets that share nothing on which they could be compared."""


class BrokenStore(InputError):
    """A data set on disk whose bytes no longer match what its manifest promises."""


class MissingExtra(InputError):
    """An optional dependency that is needed now and is not installed."""


class TaskFailed(SterlingError):
    """A unit of work that failed after all its retries."""


class UnknownName(InputError):
    """A name that is not in a closed list, answered with its nearest neighbours."""

    @classmethod
    def among(cls, name: str, known: Iterable[str], *, what: str) -> Self:
        """Build the error for `name`, which should have been one of `known`.

        >>> print(UnknownName.among("incom", ["age", "income"], what="column"))
        there is no column 'incom'
          To mend: did you mean 'income'? Known: age, income
        """
        choices = list(known)
        near = difflib.get_close_matches(name, choices, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
        shown = ", ".join(choices[:30]) + (f", ... ({len(choices)} in all)" if len(choices) > 30 else "")
        return cls(f"there is no {what} {name!r}", mend=f"{hint}Known: {shown or 'none'}")
