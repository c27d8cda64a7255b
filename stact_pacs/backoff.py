"""When to try again: capped exponential backoff with full jitter, as a pure function."""


def backoff_s(attempt: int, *, base_s: float, cap_s: float, jitter: float) -> float:
    """Return how long to wait, in seconds, before the attempt after `attempt`.

    Parameters
    ----------
    attempt
        How many attempts have failed so far, from 1.
    base_s
        Upper bound of the first wait.
    cap_s
        Upper bound of every wait.
    jitter
        A random number in [0, 1). It spreads the wait over the upper half of its bound, so that many
        deliveries that failed together do not come back together, and none comes back at once.

    >>> [backoff_s(n, base_s=2, cap_s=60, jitter=1.0) for n in (1, 2, 3, 10)]
    [2.0, 4.0, 8.0, 60.0]
    >>> backoff_s(1, base_s=2, cap_s=60, jitter=0.0)
    1.0
    """
    bound_s = min(cap_s, base_s * 2.0 ** min(attempt - 1, 60))
    return bound_s * (0.5 + 0.5 * jitter)
