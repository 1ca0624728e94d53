"""Figures from many measurements."""

import math
import statistics

mean = statistics.mean
median = statistics.median


def rank(values, share):
    """The smallest value that at least this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
