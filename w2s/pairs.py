"""Which students of a results folder belong to which weak supervisor and strong ceiling, and whether they may still be compared.

    found, left_out = pairs.find(Path("results/sciq"))

A student is left out where its run.json tells of other data, settings or code than those beside it: left over from an earlier
run, say. Folders without a run.json, from elsewhere, are taken as they are.
"""

import os
import re
from pathlib import Path

from w2s import source, stage


def find(results):
    """[[weak name, ceiling name, {student: [[weak, ceiling, student, *chain] prediction files, a list a seed]}], ...], and the
    folders of students that are left out."""
    pairs, left_out = {}, []
    for path in sorted(results.glob("seed*/*-to-*_*/predictions.jsonl")):
        student, seed = path.parent, path.parent.parent
        if not re.fullmatch(r"seed(0|[1-9]\d*)", seed.name):
            continue  # a copy, say
        weaks = [file.parent.name.removeprefix("weak_") for file in sorted(seed.glob("weak_*/predictions.jsonl"))]
        ceilings = [file.parent.name.removeprefix("ceiling_") for file in sorted(seed.glob("ceiling_*/predictions.jsonl"))]
        named = [(weak, ceiling) for weak in weaks for ceiling in ceilings if student.name.startswith(f"{weak}-to-{ceiling}_")]
        if named:
            names = max(named, key=lambda names: len("".join(names)))  # of m and m_v2 the longer
            weak, ceiling = seed / f"weak_{names[0]}", seed / f"ceiling_{names[1]}"
            name = student.name.removeprefix("-to-".join(names) + "_")
            links = [seed / link for link in teachers(f"{names[0]}-to-", name)]
            taught = zip([weak, *links], [*links, student])  # each by the one before it
            if differs(student, ceiling) or any(stale(*both, weak, ceiling) for both in taught):
                left_out.append(str(student))
            else:
                chain = links if all((link / "predictions.jsonl").exists() for link in links) else []
                files = [str(folder / "predictions.jsonl") for folder in (weak, ceiling, student, *chain)]
                pairs.setdefault(names, {}).setdefault(name, []).append(files)
    tests = {ceiling: stage.run_of(Path(ceiling).parent).get("inputs", {}).get("test", {}).get("sha256")
             for students in pairs.values() for runs in students.values() for _, ceiling, *_ in runs}
    last = tests.get(max(filter(tests.get, tests), key=os.path.getmtime, default=None))
    for names, students in pairs.items():
        every = [files for runs in students.values() for files in runs]
        alike = [files for files in every if tests[files[1]] in (None, last)]  # all pairs of a report are tested on one file
        alike = newest(alike, 0, 2)  # weak supervisor and ceiling first: all students of a table are held against the same two
        kept = {name: newest(runs, 2) for name, of in students.items() if (runs := [files for files in of if files in alike])}
        left_out += [str(Path(files[2]).parent) for files in every if not any(files in runs for runs in kept.values())]
        pairs[names] = kept
    if not any(pairs.values()):
        stage.refuse(f"{results}: no student found with its weak supervisor and ceiling beside it; run_all.sh makes them" + "".join(
            f"; {folder} was trained on other data or labels, or with other settings" for folder in left_out[:1]))
    return [[*names, dict(sorted(students.items(), key=lambda item: (item[0] != "xent", item[0] != "conf", item[0])))]
            for names, students in sorted(pairs.items()) if students], left_out


def teachers(begin, student):
    """The folders of the models between in a chain: begin "a-to-", student "xent-via-b,c" -> a-to-b_xent, a-to-c_xent-via-b."""
    loss, _, via = student.partition("-via-")
    via = via.split(",") if via else []
    return [f"{begin}{name}_{loss}" + ("-via-" + ",".join(via[:i]) if i else "") for i, name in enumerate(via)]


def has_changed(folder):
    """Whether a model's loss is no longer what it was when it was trained. A supervisor's is xent."""
    run = stage.run_of(folder)
    loss = run.get("args", {}).get("loss", "xent")
    try:
        return "loss_source" in run and run["loss_source"] != source.loss_source(loss.partition(":")[0])
    except SystemExit:  # it is not there any more
        return True


def newest(runs, begin, end=None):
    """Of runs, lists of files a seed, those of which the files from begin to end were made as the newest of them were."""
    shown = [files[begin:end][:min(map(len, runs)) - begin] for files in runs]
    made = [[recipe(Path(file).parent) for file in files] for files in shown]
    ages = [max(map(os.path.getmtime, files)) for files in shown]
    return [files for files, how in zip(runs, made) if how == made[ages.index(max(ages))]]


def recipe(folder):
    """What must be alike in the runs of all seeds: settings, code, the loss as it was then, and inputs that no seed makes for itself."""
    run = stage.run_of(folder)
    own = ["weak"]
    if not folder.name.startswith(("weak_", "ceiling_")):
        own = ["weak", "labels", "model"]
    elif folder.name.endswith("-generative"):
        own = ["weak", "model"]
    given = {name: its["sha256"] for name, its in run.get("inputs", {}).items() if name not in own}
    args = {key: value for key, value in run.get("args", {}).items() if key not in ("seed", *stage.HOW)}
    return args, run.get("code"), run.get("loss_source"), given


def stale(teacher, pupil, first, ceiling):
    """Whether a pupil learned from other labels than its teacher gives today, or these are of an earlier model of the teacher's, or
    of other examples than the ceiling's."""
    labels = teacher.with_name("labels_" + (teacher.name.removeprefix("weak_") if teacher == first else teacher.name))
    run = stage.run_of(pupil)
    used, truth = (its.get("inputs", {}).get("labels", {}).get("sha256") for its in (run, stage.run_of(ceiling)))
    if not used or not (labels / "labels.jsonl").exists():
        return False  # nothing to compare
    if used == truth and run.get("stage") == "prompt_strong":
        return False  # shots may have ground truth
    given = stage.run_of(labels).get("inputs", {})
    if truth and given.get("data", {}).get("sha256", truth) != truth:
        return True  # labels of other examples than the ceiling's
    made_by = given.get("model")
    changed = made_by and (teacher / "model").exists() and stage.fingerprint(teacher / "model", made_by)["sha256"] != made_by["sha256"]
    return bool(changed) or used != stage.fingerprint(labels / "labels.jsonl")["sha256"]


def differs(student, ceiling):
    """Whether a student's run.json tells of other code, inputs or settings than the ceiling's: the two may differ in nothing but
    labels and loss. One that is probed or prompted beside a finetuned ceiling must have its model and its test data."""
    ours, theirs = stage.run_of(student), stage.run_of(ceiling)
    if not {"args", "inputs"} <= ours.keys() & theirs.keys():
        return False  # predictions that come from elsewhere
    mine, its = ({**run["args"], **{key: given["sha256"] for key, given in run["inputs"].items()}, "code": run.get("code")} for run in (ours, theirs))
    if ours.get("stage") == "prompt_strong" or ours["args"].get("linear_probe") and not theirs["args"].get("linear_probe"):
        first = student.with_name(student.name.removesuffix("-then-probe"))
        if first != student:
            its["model"] = stage.fingerprint(first / "model", ours["inputs"].get("model"))["sha256"]
        return any(mine.get(key) != its.get(key) for key in ("model", "test", "task"))
    return any(mine.get(key) != its.get(key) for key in (mine.keys() | its.keys()) - {"loss", "labels", "weak", *stage.HOW})


def sizes(found):
    """{strong model: how many weights it has}, but for those whose run does not say so, or that were tuned on the topic first."""
    known = {}
    for _, name, students in found:
        first = next(iter(students.values()))[0]  # weak, ceiling, student: of whichever seed
        folder = Path(first[1]).parent
        size = stage.run_of(folder).get("metrics", {}).get("parameters")
        if size and not folder.name.endswith("-generative"):
            known[name] = size
    return known
