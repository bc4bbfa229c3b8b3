#!/usr/bin/env python3
"""Kill a backfill at random moments, start it again until it is done, and compare the tables with an undisturbed run's.

    tests/crash.py [--binary build/dev/quern] [--project flights|flights_spring|shop|meters|repairs] [--rounds 100] [--kills 6] [--seed N]

Every round starts from a fresh copy of the project. Columns whose names begin with _quern_ are left out of the comparison. Needs the
packages of tools/python/e2e.txt. Exit code 1, and the round's folder is kept, when anything differs.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "e2e"))

from quern_project import ROOT, Project, copy_project, differences, tracked  # noqa: E402

# Source, backfill, folder of the tables.
BACKFILLS = {
    "flights_spring": (ROOT / "examples" / "flights", ("backfill", "monthly", "--from", "2013-01-01", "--to", "2013-04-30"), "warehouse"),
    "flights": (ROOT / "examples" / "flights", ("backfill", "monthly", "--from", "2013-01-01", "--to", "2013-12-31"), "warehouse"),
    "shop": (ROOT / "examples" / "shop", ("backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-14"), "warehouse"),
    "meters": (ROOT / "tests" / "projects" / "meters", ("backfill", "weekly", "--from", "2026-03-09", "--to", "2026-04-06"), "lake"),
    "repairs": (ROOT / "tests" / "projects" / "repairs", ("backfill", "mondays", "--from", "2026-02-02", "--to", "2026-05-18 06:00"), "lake"),
}


def undisturbed(name, binary, folder):
    """An undisturbed backfill and how many seconds it took."""
    source, backfill, warehouse = BACKFILLS[name]
    project = Project(copy_project(source, folder), binary, warehouse=warehouse)
    return project, project.quern(*backfill, timeout=1800).seconds


def killed_round(name, binary, folder, rng, seconds, kills):
    """One backfill with up to `kills` SIGKILLs at random moments; gives the project and how many there were."""
    source, backfill, warehouse = BACKFILLS[name]
    project = Project(copy_project(source, folder), binary, warehouse=warehouse)
    killed = 0
    while killed < kills:
        process = project.start(*backfill)
        # Mostly somewhere in the whole, sometimes right at the start, when the last try's traces are looked through.
        # The first comes in the first half: what was measured on a busy machine is over sooner on a quiet one.
        most = seconds if killed > 0 else seconds / 2
        time.sleep(rng.uniform(0.0, most if rng.random() < 0.7 else 0.3))
        if process.poll() is not None:
            out = process.communicate()[0].decode("utf-8", "replace")
            if process.returncode != 0:
                raise SystemExit(f"restarted after {killed} kills, and failed by itself ({folder}):\n{out}")
            break
        Project.kill(process)
        killed += 1
    project.quern(*backfill, timeout=1800)
    return project, killed


def play(name, binary, rounds, kills, seed, work, say=print):
    """Number of kills over all rounds; raises SystemExit at the first difference."""
    rng = random.Random(seed)
    reference, seconds = undisturbed(name, binary, work / "undisturbed")
    say(f"{name}: undisturbed {seconds:.1f} s, {len(reference.tables())} tables")
    total = 0
    for number in range(1, rounds + 1):
        folder = work / f"round-{number}"
        project, killed = killed_round(name, binary, folder, rng, seconds, kills)
        total += killed
        found = differences(reference, project)
        # Models too: no run, version or alias more or less than without a kill.
        expected, there = tracked(reference), tracked(project)
        found.update({f"tracked {what}": f"{expected[what]} against {there.get(what)}" for what in expected if there.get(what) != expected[what]})
        if found:
            lines = "\n".join(f"{table}: {text}" for table, text in found.items())
            raise SystemExit(f"round {number} (seed {seed}, {killed} kills, {folder}) differs:\n{lines}")
        say(f"round {number}: killed {killed} times, equal")
        shutil.rmtree(folder)
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=ROOT / "build" / "dev" / "quern", type=Path)
    parser.add_argument("--project", choices=sorted(BACKFILLS), default="shop")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--kills", type=int, default=6, help="at most so many a round")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="quern-crash-"))
    total = play(arguments.project, arguments.binary.resolve(), arguments.rounds, arguments.kills, arguments.seed, work,
                 lambda text: print(text, flush=True))
    shutil.rmtree(work)
    print(f"{arguments.rounds} rounds, {total} kills, seed {arguments.seed}: all equal to the undisturbed run")


if __name__ == "__main__":
    main()
