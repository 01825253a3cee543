"""How sequences lie in a forward pass: in rows of one length each, or packed, all their tokens in one row."""

from collections.abc import Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass

import torch
from torch import Tensor

from .arrangement import length_group
from .masks import Part, Pass, Visible

# Tokens of prompts and keys looked at come in multiples: torch and oneDNN keep code for each shape they ever saw.
TOKENS, WIDTHS = 16, 32


@dataclass(frozen=True, slots=True)
class Line:
    """The next tokens of one sequence."""

    place: int  # its row of the slab
    first: int  # the position of the first of them
    ids: list[int]


@dataclass(frozen=True, slots=True)
class Packing:
    """A pass, and what the model is called with: ids and positions (rows, tokens), and where the last token of each line is."""

    now: Pass
    ids: Tensor
    positions: Tensor
    ends: list[tuple[int, int]]


def pack(lines: Many[Line], length: int, device: torch.device, visible: Visible, *, packed: bool) -> Packing:
    """Lay out lines, which are in the order of their places; unpacked they lie side by side. `length`: positions of a row."""
    counts = padded([len(line.ids) for line in lines], packed=packed)
    ids: list[int] = []
    rows: list[int] = []
    positions: list[int] = []
    ends: list[int] = []
    spans: list[tuple[list[int], int]] = []
    for members in split(lines, counts) if packed else [list(range(len(lines)))]:
        spans.append((members, len(positions)))
        for member in members:
            line, tokens = lines[member], counts[member]
            # Padding repeats the last token at its own position: it writes the same keys again, and nothing else.
            padding = tokens - len(line.ids)
            last = line.first + len(line.ids) - 1
            ends.append(len(ids) + len(line.ids) - 1)
            ids += line.ids + line.ids[-1:] * padding
            rows += [line.place] * tokens
            positions += [*range(line.first, last + 1), *([last] * padding)]
    where = torch.tensor(positions, device=device)
    parts = []
    for members, begin in spans:
        part = [lines[member] for member in members]
        tokens = counts[members[0]]
        width = max(line.first + len(line.ids) for line in part)
        parts.append(
            Part(
                part[0].place,
                part[-1].place + 1,
                where[begin : begin + tokens * len(part)].view(len(part), tokens),
                tuple(line.first for line in part),
                any(tokens > len(line.ids) for line in part),
                min(-(-width // WIDTHS) * WIDTHS, length),
            )
        )
    each = len(ids) if packed else counts[0]
    return Packing(
        Pass(tuple(parts), packed, torch.tensor(rows, device=device), where, visible),
        torch.tensor(ids, device=device).view(-1, each),
        where.view(-1, each),
        [divmod(end, each) for end in ends],
    )


def padded(counts: Many[int], *, packed: bool) -> list[int]:
    """Return how many tokens of each line a pass has: packed all together, else each, a multiple where prompts are computed."""
    most = max(counts)
    if most == 1:
        return list(counts)
    if not packed:
        return [-(-most // TOKENS) * TOKENS] * len(counts)
    longest = list(counts).index(most)
    return [count + (-sum(counts) % TOKENS if place == longest else 0) for place, count in enumerate(counts)]


def split(lines: Many[Line], counts: Many[int]) -> Iterator[list[int]]:
    """Yield the lines of each part: single tokens of neighbouring rows of similar length, or a piece of one prompt."""
    part: list[int] = []
    for member, line in enumerate(lines):
        before = lines[member - 1] if part else None
        joins = (
            before is not None
            and counts[member] == counts[member - 1] == 1
            and line.place == before.place + 1
            and length_group(line.first + 1) == length_group(before.first + 1)
        )
        if part and not joins:
            yield part
            part = []
        part.append(member)
    yield part
