"""`tools/bench --against REVISION`: this tree beside an older one, in turns, by processor time.

Each revision runs its own benchmarks with its own virtual environment, and is asked for nothing
that a revision is not sure to have: `benchmarks.chain` (`packet_ins`, `batches`, `ChainWay`), and
`python -m benchmarks --only ... --json`. A machine that is busy, or changes its speed, does so for
both: what counts is the ratio of neighbouring runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import comb
from pathlib import Path

from benchmarks.report import Figure, Report, Section, progress

SECTIONS = ("chain", "receive", "live")
BESIDE = ("flood", "room")
"""Sections in which the older program runs on this tree's bed."""
KNOWN = (*SECTIONS, *BESIDE)
ROUNDS = 9
SECONDS = 10.0
"""Of each run of receive and live; in short ones the program's start weighs too much."""
TURNS = 16
"""Short runs of each revision in a round of `chain`, A B B A."""
DROPS = 12_800
"""Of each short run, a twentieth of a second or so."""
WORST = 1.03
"""How many times as much a drop may cost as before."""
SURE = 0.95
ROOT = Path(__file__).parents[2]
A_LINE, LINES, LOST = "a line", "lines", ("lost", "missed")

_CHAIN = f"""
import sys, time
from benchmarks.chain import ChainWay, batches, packet_ins
kind, path = sys.argv[1:]
work = batches(packet_ins(kind), {DROPS})
def drops():
    begin = time.process_time()
    way = ChainWay(path)
    for batch in work:
        way.take(batch)
    way.close()
    return (time.process_time() - begin) / {DROPS} * 1e6
drops()
for line in sys.stdin:
    print(drops(), flush=True)
"""


@dataclass(frozen=True)
class Tree:
    """A checkout with the project in its `.venv`."""

    name: str
    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / ".venv/bin/python")

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that runs the tree's own benchmarks."""
        paths = f"{self.folder / 'tools'}:{self.folder}"
        return {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def interval(rounds: Sequence[float]) -> tuple[float, float]:
    """In which the median lies with `SURE`, whatever the distribution: two of the rounds.

    The k-th lowest and the k-th highest, where the binomial distribution allows (for nine rounds
    the second, at 96 %); the lowest and the highest where there are too few.
    """
    ordered, count, rank = sorted(rounds), len(rounds), 0
    while (
        rank + 1 < count / 2
        and 1 - 2 * sum(comb(count, n) for n in range(rank + 2)) / 2**count >= SURE
    ):
        rank += 1
    return ordered[rank], ordered[-1 - rank]


def turns(old: Callable[[], float], new: Callable[[], float], count: int) -> tuple[float, float]:
    """The medians of so many runs of both, A B B A."""
    olds: list[float] = []
    news: list[float] = []
    for turn in range(count):
        if turn % 2:
            news.append(new())
            olds.append(old())
        else:
            olds.append(old())
            news.append(new())
    return statistics.median(olds), statistics.median(news)


@contextmanager
def _chain(tree: Tree, kind: str, path: str) -> Iterator[Callable[[], float]]:
    """A process that measures the chain whenever it is asked."""
    process = subprocess.Popen(
        (tree.python, "-c", _CHAIN, kind, path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=tree.folder,
        env=tree.environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asked, told = process.stdin, process.stdout

    def measure() -> float:
        asked.write("\n")
        return float(told.readline())

    with process:  # which closes the pipe that it reads, and waits
        yield measure


def _chains(old: Tree, new: Tree, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Microseconds of processor time a drop, by the case, of both, for each round."""
    cases: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="ryu-droplog-bench-", dir="/var/tmp") as folder:
        for kind in ("TCP", "IPv6 TCP", "mixed"):
            for place, path in (("/dev/null", "/dev/null"), ("a file", f"{folder}/drops.log")):
                case = f"chain: {kind} to {place}"
                progress(case)
                with ExitStack() as stack:
                    before, now = (
                        stack.enter_context(_chain(tree, kind, path)) for tree in (old, new)
                    )
                    cases[case] = [turns(before, now, TURNS) for _ in range(rounds)]
    return cases


def _whole(tree: Tree, section: str, seconds: float) -> dict[str, dict[str, float]]:
    """What one run of a section said: figures by case."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.json")
        command = ("-m", "benchmarks", "--only", section, "--quick", "--seconds", str(seconds))
        subprocess.run(
            (tree.python, *command, "--json", str(path)),
            cwd=tree.folder,
            env=tree.environment,
            check=True,
            capture_output=True,
        )
        figures = json.loads(path.read_text())["figures"]
    cases: dict[str, dict[str, float]] = {}
    for figure in figures:
        if "usual" not in figure["case"]:
            name = f"{figure['section']}: {figure['case']}"
            cases.setdefault(name, {})[figure["figure"]] = figure["value"]
    return cases


def _wholes(
    old: Tree, new: Tree, section: str, rounds: int, seconds: float
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, tuple[list[int], list[int]]]]:
    """Processor time a line, of both, for each round; and what each lost of how many, in all."""
    cases: dict[str, list[tuple[float, float]]] = {}
    losses: dict[str, tuple[list[int], list[int]]] = {}
    for number in range(rounds):
        progress(f"{section}: round {number + 1} of {rounds}")
        pair = (old, new) if number % 2 == 0 else (new, old)
        told = {tree.name: _whole(tree, section, seconds) for tree in pair}
        for case, figures in told[new.name].items():
            before = told[old.name].get(case, {})
            if A_LINE not in figures or A_LINE not in before:
                continue
            cases.setdefault(case, []).append((before[A_LINE], figures[A_LINE]))
            kept = losses.setdefault(case, ([0, 0], [0, 0]))
            for sums, values in zip(kept, (before, figures), strict=True):
                lost = sum(int(values.get(name, 0)) for name in LOST)
                sums[0] += lost
                sums[1] += lost + int(values[LINES])
    return cases, losses


def _beside(
    name: str, old: Tree, new: Tree, rounds: int, seconds: float, report: Report
) -> Section:
    """The older program on this tree's bed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.json")
        command = ("-m", "benchmarks", "--only", name, "--rounds", str(rounds))
        subprocess.run(
            (new.python, *command, "--seconds", str(seconds), "--beside", str(old.folder))
            + ("--json", str(path)),
            cwd=new.folder,
            env=new.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        told = json.loads(path.read_text())
    section = report.section(name, f"{name}: this tree, and {old.name}")
    for one in told["figures"]:
        figure = one["figure"].replace(" ", "_")
        spread = (one["low"], one["high"], tuple(one["rounds"]))
        section.add(one["case"], **{figure: Figure(one["value"], one["unit"], *spread)})
    for note in told["notes"][name]:
        section.note(note)
    return section


def run(old: Tree, new: Tree, arguments: argparse.Namespace, report: Report) -> bool:
    """Measure; False when the new tree is surely slower than it may be."""
    good = True
    for name in arguments.only:
        if name in BESIDE:
            section = _beside(name, old, new, arguments.rounds, arguments.seconds, report)
            if name == "room":
                ratio = section.rows["enlarged"]["ratio"]
                good = not (ratio.value > WORST and interval(ratio.rounds)[0] > WORST)
    others = [name for name in arguments.only if name not in BESIDE]
    if not others:
        return good
    section = report.section("against", f"processor time for each drop: this tree, and {old.name}")
    for name in others:
        losses: dict[str, tuple[list[int], list[int]]] = {}
        if name == "chain":
            cases = _chains(old, new, arguments.rounds)
        else:
            cases, losses = _wholes(old, new, name, arguments.rounds, arguments.seconds)
        for case, pairs in cases.items():
            ratios = [now / before for before, now in pairs]
            low, high = interval(ratios)
            median = statistics.median(ratios)
            section.add(
                case,
                before=Figure.of([before for before, _ in pairs], "µs"),
                now=Figure.of([now for _, now in pairs], "µs"),
                ratio=Figure(median, "times", low, high, tuple(ratios)),
            )
            if case in losses:
                (lost_before, of_before), (lost, of_now) = losses[case]
                section.add(
                    case,
                    lost_before=Figure(lost_before, f"of {of_before:,}"),
                    lost_now=Figure(lost, f"of {of_now:,}"),
                )
            if median > WORST and low > WORST:
                good = False
                section.note(f"{case}: slower than before by more than {(WORST - 1) * 100:.0f} %")
    section.note("ratio: median of the rounds, and where it lies with 95 % (two of the rounds)")
    return good


def main() -> int:
    """Measure this tree against the one in a folder; 1 when it is slower than it may be."""
    arguments = _parse(sys.argv[1:])
    report = Report()
    old, new = Tree(arguments.revision, arguments.folder.resolve()), Tree("this tree", ROOT)
    try:
        good = run(old, new, arguments, report)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        print(f"error: {' '.join(error.cmd[:5])}: {said[-2000:]}", file=sys.stderr)
        return 1
    print(report)
    if arguments.json is not None:
        report.write(arguments.json)
    return 0 if good else 1


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/bench --against REVISION", allow_abbrev=False)
    parser.add_argument("revision")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", type=_sections, default=SECTIONS, metavar="SECTION,...")
    parser.add_argument("--rounds", type=_whole_number(1, 99), default=ROUNDS, metavar="N")
    parser.add_argument("--seconds", type=_whole_number(1, 600), default=SECONDS, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(words)


def _sections(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in KNOWN:
            raise argparse.ArgumentTypeError(
                f"got {name!r}, expected some of {', '.join(KNOWN)} with commas between"
            )
    return names


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected {low} to {high}")
        return int(text)

    return number


if __name__ == "__main__":
    sys.exit(main())
