"""What was measured, as a table, and beside the limits."""

import statistics
from collections.abc import Mapping, Sequence

from .loads import COMPANY, LOADS, LONG, Load
from .timing import Disturbed, Result, percentile

OURS = "pinion-serve"
TRANSFORMERS = "transformers serve"
# Tokens per second as a multiple of another server's, by the number of streams.
AGAINST_TRANSFORMERS = {8: 1.5, 16: 1.5}
AGAINST_BEST = {1: 0.9, 8: 0.9}
DISTURBED = 3.0  # times the median between two tokens
LONG_PROMPT = 2.0  # times its own time to first token when it is alone
START_SECONDS = 8.0

Results = Mapping[tuple[str, Load], Sequence[Result]]


def tables(servers: Sequence[str], results: Results) -> None:
    """Print each load's figures, of each server's better round."""
    for load in LOADS:
        print(f"{load.name}, {_tokens(load.prompt)} tokens in, {_tokens(load.answer)} out, {load.streams} at a time:")
        for server in servers:
            rounds = results[server, load]
            best = max(rounds, key=lambda one: one.rate)
            spread = (best.rate - min(one.rate for one in rounds)) / best.rate
            note = "" if best.tokens_per_event < 1.01 else f", {best.tokens_per_event:.1f} tokens an event"
            print(
                f"  {server:20} {best.rate:6.0f} tokens/s, first {_both(best.first)}, "
                f"between {_both(best.gap)} ({best.answers} answers, rounds {spread:.0%} apart{note})",
                flush=True,
            )


def agreement(texts: Mapping[str, Sequence[str]]) -> None:
    """Print how many answers are ours to the letter: all have the same weights, and round in their own ways."""
    ours = texts[OURS]
    same = {name: sum(map(str.__eq__, ours, theirs)) for name, theirs in texts.items() if name != OURS}
    print(f"the same answers as ours, of {len(ours)}: {', '.join(f'{name} {count}' for name, count in same.items())}")


def ratios(servers: Sequence[str], results: Results) -> None:
    """Print our tokens per second as a multiple of each other server's, and whether limits are kept."""
    print("tokens per second of ours as a multiple:")
    for load in LOADS:
        rate = {server: max(one.rate for one in results[server, load]) for server in servers}
        best = max((server for server in servers if server != OURS), key=lambda server: rate[server])
        told = [
            f"{_at_least(rate[OURS] / rate[TRANSFORMERS], AGAINST_TRANSFORMERS.get(load.streams))} of {TRANSFORMERS}",
            f"{_at_least(rate[OURS] / rate[best], AGAINST_BEST.get(load.streams))} of the best peer, {best}",
        ]
        print(f"  {load.name}, {load.streams} at a time: {'; '.join(told)}", flush=True)


def disturbances(found: Mapping[str, Sequence[Disturbed]]) -> None:
    """Print what long prompts did to seven streams, and what the seven did to them; all rounds together."""
    print(f"a prompt of {LONG.prompt[0]:,} tokens while {COMPANY.streams} streams run:")
    for server, rounds in found.items():
        before = [gap for one in rounds for gap in one.before]
        during = [gap for one in rounds for gap in one.during]
        alone = [first for one in rounds for first in one.first_alone]
        beside = [first for one in rounds for first in one.first_beside]
        median, worst = statistics.median(before), percentile(during, 99)
        print(
            f"  {server:20} between tokens {_ms(median)} without it, p99 {_ms(worst)} ({len(during)}) while it is computed: ",
            end="",
        )
        print(_at_most(worst / median, DISTURBED))
        everything = percentile(before + during, 99) / statistics.median(before + during)
        print(f"  {'':20} p99 / median over all {len(before) + len(during)} tokens: {_at_most(everything, DISTURBED)}")
        first, late = statistics.median(alone), statistics.median(beside)
        print(
            f"  {'':20} its first token after {_ms(late)}, alone {_ms(first)}: {_at_most(late / first, LONG_PROMPT)}",
            flush=True,
        )


def starts(found: Mapping[str, Sequence[float]]) -> None:
    """Print the seconds from the start of each process until it answered that it was ready."""
    print("from start to ready:")
    for server, seconds in found.items():
        limit = _verdict(max(seconds) <= START_SECONDS, f"limit {START_SECONDS:.0f} s") if server == OURS else ""
        print(f"  {server:20} {', '.join(f'{one:.1f}' for one in seconds)} s{limit}", flush=True)


def _at_least(value: float, limit: float | None) -> str:
    return f"{value:.2f}" + ("" if limit is None else _verdict(value >= limit, f"at least {limit}"))


def _at_most(value: float, limit: float) -> str:
    return f"{value:.2f}" + _verdict(value <= limit, f"limit {limit:.0f}")


def _verdict(kept: bool, limit: str) -> str:
    return f" ({limit}: {'kept' if kept else 'not kept'})"


def _tokens(bounds: tuple[int, int]) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low} to {high}"


def _both(values: tuple[float, float]) -> str:
    return f"p50 {_ms(values[0])} p99 {_ms(values[1])}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 0.1 else f"{1000 * seconds:.0f} ms"
