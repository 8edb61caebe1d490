"""The one error that a user can cause."""

from __future__ import annotations


class ConvcostError(Exception):
    """What stopped the work, where, and what to do about it.

    ``message`` says what was found and where; ``hint``, where there is one, what to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ShapeError(ValueError):
    """An op can't take the shapes that it was given; the text says what it wanted."""
