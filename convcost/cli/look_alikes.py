"""What stands for a character on a stream whose encoding lacks it, so that columns still align."""

from __future__ import annotations

import codecs

LOOK_ALIKES = str.maketrans(
    {
        **dict(zip("■·░▒▓█", "#.:+*#", strict=True)),
        **dict(zip("▏▎▍▌▋▊▉", "   ####", strict=True)),
        **dict(zip("╭╮╰╯│─┌┐└┘├┤┬┴┼", "++++|-+++++++++", strict=True)),
        **dict(zip("×µ–−…⋮✓●▲◆╱", "xu--~:v*^o/", strict=True)),
        "≠": "!=",
        "≥": ">=",
        "≤": "<=",
        "→": "->",
        "Δ": "change ",
    }
)
ERRORS = "convcost_look_alikes"


def register() -> None:
    """Makes ``errors=ERRORS`` write look-alikes, and ``?`` for all that has none."""
    codecs.register_error(ERRORS, _replace)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(LOOK_ALIKES)
    return "".join(char if char.isascii() else "?" for char in text), error.end
