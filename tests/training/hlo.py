"""Reads a compiled program: its collectives, and the loops that hold each of them."""

import re
from collections import defaultdict

COLLECTIVE = re.compile(
    r" (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
CALLED = re.compile(r"(?:body|condition|calls|to_apply|\w+_computations?)=(\{[^}]*\}|%?[\w.\-]+)")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


def collectives(text):
    """(kind, loops) of each, in order of kind and loops.

    loops: how often each `while` that holds it turns, from the outermost to the innermost; so a
    collective in a scan over 7 steps of time ends in 7.
    """
    found, callers, inside, entry = [], defaultdict(list), None, None
    for line in text.splitlines():
        header = COMPUTATION.match(line)
        if header:
            inside = header[2]
            entry = inside if header[1] else entry
            continue
        kind = COLLECTIVE.search(line)
        if kind:
            found.append((kind[1], inside))
        trips = TRIPS.search(line) if " while(" in line else None
        turns = (int(trips[1]),) if trips else (None,) if " while(" in line else ()
        for names in CALLED.findall(line):
            for name in re.findall(r"[\w.\-]+", names):
                callers[name].append((inside, turns))

    def loops(computation):
        if computation == entry:
            return [()]
        return [outer + turns for caller, turns in callers[computation] for outer in loops(caller)]

    return sorted((kind, held) for kind, computation in found for held in loops(computation))
