"""Which models of a report may be compared on the second test file, --test2.

    path, found2 = second_pairs.find(found)   # found: of pairs.find

Of one that was not tested on it, or on another one, the first tables tell as ever; it is not in
the second ones.
"""

import os
from pathlib import Path

from w2s import second_test, stage
from w2s.lineage import given
from w2s.pairs import Run, all_runs, files_of


def find(pairs):
    """(path, [Pair]) of the second test file: that of the newest student that has one. Its Pairs
    hold what the models made of it, of the runs whose models were all tested on it."""
    tests = {}  # {run: sha256 of the file on which all its models were tested}
    for pair in pairs:
        for run in all_runs(pair.students):
            sha = common_test(run)
            if sha:
                tests[run] = sha
    if not tests:
        return "", []

    newest = max(tests, key=age)
    found = []
    for pair in pairs:
        students = {}
        for name, runs in pair.students.items():
            tested = [second(run) for run in runs if tests.get(run) == tests[newest]]
            if tested:
                students[name] = tested
        if students:
            found.append(pair._replace(students=students))
    return stage.read_run(Path(newest.student).parent)["inputs"]["test2"]["path"], found


def common_test(run):
    """The sha256 of the second test file of all models of a run; None where they have no such."""
    tests = {given(stage.read_run(Path(file).parent), "test2") for file in files_of(run)}
    there = all(map(os.path.exists, files_of(second(run))))
    return tests.pop() if there and len(tests) == 1 else None


def second(run):
    """The Run of the predictions on the second test file."""
    files = [str(Path(file).with_name(second_test.FILE)) for file in files_of(run)]
    return Run(*files[:3], tuple(files[3:]))


def age(run):
    return os.path.getmtime(run.student)
