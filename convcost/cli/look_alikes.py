"""What stands for a character on a stream whose encoding lacks it, so that columns still align."""

from __future__ import annotations

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


def replace(error: UnicodeError) -> tuple[str, int]:
    """An error handler of ``codecs``: look-alikes, and ``?`` for all that has none."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(LOOK_ALIKES)
    return "".join(char if char.isascii() else "?" for char in text), error.end
