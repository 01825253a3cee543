"""Two commands that do the same job, in turns; the better run of each counts, for a shared machine only ever adds time."""

from collections.abc import Callable

from .measure import Measured

ROUNDS = 3


def compare(ours: Callable[[], Measured], name: str, theirs: Callable[[], Measured], *, size: int) -> tuple[Measured, Measured]:
    """Run both alternately, print seconds, rate and peak memory of each and the ratio, and return the better runs.

    `size` is the bytes that one run works on.
    """
    pairs = [(ours(), theirs()) for _ in range(ROUNDS)]
    best, peer = (min(column, key=lambda m: m.seconds) for column in zip(*pairs, strict=True))
    width = max(len("pinion-ipfs"), len(name))
    for label, one in (("pinion-ipfs", best), (name, peer)):
        rate = size / one.seconds / 1e6
        print(f"{label:{width}} {one.seconds:6.2f} s, {rate:6.0f} MB/s, peak {one.peak_bytes >> 20} MiB")
    print(f"speed against {name}: {peer.seconds / best.seconds:.2f} x", flush=True)
    return best, peer
