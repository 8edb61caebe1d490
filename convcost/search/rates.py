"""Rates of stacked atrous convolutions that leave no holes."""

from itertools import count


def fewest_rates(taps: int, span: int, start: int = 1) -> tuple[int, ...]:
    """The fewest rates, smallest first, with which a stack sees ``span`` positions, all of them.

    Each layer has ``taps`` per axis; ``start`` is how many neighbouring positions are seen before
    the stack. A layer of rate r after s positions without holes leaves none if r <= s (its copies
    touch), so n layers see ``start * taps ** n`` at most: rates double for two taps (van den Oord
    et al., 'WaveNet', 2016, 2.1) and triple for three; equal ones leave holes (Wang et al.,
    'Understanding Convolution for Semantic Segmentation', WACV 2018, 3.2). Of all that are as few
    and see as much, the largest rate is as small as can be.
    """
    layers, reached = 0, start
    while reached < span:
        layers, reached = layers + 1, reached * taps
    total = max(layers, -(-(span - start) // (taps - 1)))
    if not layers:
        return ()
    found = next(
        rates for most in count(1) if sum(rates := _greedy(taps, layers, start, most)) >= total
    )
    kept = layers - (sum(found) - total)
    return tuple(sorted([*found[:kept], *(rate - 1 for rate in found[kept:])]))


def _greedy(taps: int, layers: int, start: int, most: int) -> list[int]:
    """The largest rates without holes that are at most ``most``."""
    rates: list[int] = []
    reached = start
    for _ in range(layers):
        rates.append(min(most, reached))
        reached += (taps - 1) * rates[-1]
    return rates
