"""Which students of a results folder may be compared with which weak supervisor and ceiling.

    found, left_out = pairs.find(Path("results/sciq"))

A student is left out, and named, where its run.json tells of other settings (stage.comparable)
than that of the ceiling beside it or of the newest of the seeds, or where it learned other labels
than its supervisor gives today; or where no test predictions of its supervisor are beside it.
Folders without a run.json, from elsewhere, are taken as they are.
"""

import collections
import itertools
import os
import re
from pathlib import Path
from typing import NamedTuple

from w2s import lineage, source, stage
from w2s.lineage import given


OTHERWISE_MADE = (
    "was trained on other data or labels, or with other settings, than the ceiling beside it or "
    "the newest of the seeds, or with another version of its loss; run it again, or remove it.")
NO_FLOOR = (
    "has no supervisor beside it: weak_NAME/predictions.jsonl, what NAME says of the test file, is "
    "the floor of the gap, of a person too.")


class Run(NamedTuple):
    """Prediction files of one student on one seed, and of the models it is held against."""
    weak: str
    ceiling: str
    student: str
    chain: tuple = ()  # of the models between supervisor and student, in their order


class Pair(NamedTuple):
    """The names of a weak supervisor and a strong ceiling, and the students between them."""
    weak: str
    ceiling: str
    students: dict  # {student name: [Run], one a seed}


def find(results):
    """[Pair] of a results folder, and the students that are left out, {folder: why}."""
    by_names = collections.defaultdict(dict)  # {(weak name, ceiling name): {student name: [Run]}}
    left_out = {}

    # within a seed: a student is held against the supervisor and the ceiling beside it
    for path in sorted(results.glob("seed*/*-to-*_*/predictions.jsonl")):
        student = path.parent
        names = lineage.split_name(student)
        if names is None:
            if lineage.has_ceiling(student):
                left_out[str(student)] = NO_FLOOR
            continue
        weak_name, ceiling_name, name = names
        weak = lineage.floor(student.parent, weak_name)
        ceiling = student.with_name(f"ceiling_{ceiling_name}")
        links = [student.with_name(link) for link in lineage.teachers(f"{weak_name}-to-", name)]

        old = lineage.has_old_labels(student, *names) or has_other_test(weak, ceiling)
        differing = differs_from_ceiling(student, ceiling) | differs_from_student(student, name)
        if old or differing:
            which = f" It differs in: {', '.join(sorted(differing))}." if differing else ""
            left_out[str(student)] = OTHERWISE_MADE + which
            continue
        chain = [str(link / path.name) for link in links]
        if not all(map(os.path.exists, chain)):
            chain = []
        run = Run(str(weak / path.name), str(ceiling / path.name), str(path), tuple(chain))
        by_names[weak_name, ceiling_name].setdefault(name, []).append(run)

    # over seeds: all pairs are tested on one file, and runs that are averaged were made alike
    pairs = []
    runs = list(itertools.chain(*map(all_runs, by_names.values())))
    same_test = on_newest_test(runs)
    for (weak_name, ceiling_name), students in by_names.items():
        pool = pool_seeds(students, same_test)
        if pool:
            pairs.append(Pair(weak_name, ceiling_name, pool))
        others = [run.student for run in all_runs(students) if run not in all_runs(pool)]
        left_out |= dict.fromkeys(map(os.path.dirname, others), OTHERWISE_MADE)
    if not pairs:
        example = "".join(f"; {folder} {why}" for folder, why in [*left_out.items()][:1])
        stage.refuse(f"{results}: no student found with its weak supervisor and ceiling beside it; "
                     f"run_all.sh makes them{example}")
    return sorted(pairs), left_out


def of_files(weak, ceiling, students):
    """The Pair of prediction files that are named one by one; students separated by commas."""
    # a folder's name may hold commas: conf:alpha=0.75,warmup=0.1
    students = re.split(r"(?<=\.jsonl),", students)
    names = {}
    for path in [weak, ceiling, *students]:
        stem = Path(path).stem
        names[path] = Path(path).parent.name if stem == "predictions" else stem
    if len(set(names.values())) < len(names):
        names = {path: path for path in names}
    runs = {names[path]: [Run(weak, ceiling, path)] for path in students}
    return Pair(names[weak], names[ceiling], runs)


def all_runs(students):
    return list(itertools.chain(*students.values()))


def files_of(run):
    """The prediction files of a run's models."""
    return [run.weak, run.ceiling, run.student, *run.chain]


def files_in(pairs):
    """All prediction files of the pairs, sorted."""
    files = set()
    for pair in pairs:
        files.update(*map(files_of, all_runs(pair.students)))
    return sorted(files)


def folders_in(pairs):
    """The folders of all models of the pairs, those of supervisors that label together too."""
    files = set(files_in(pairs))
    for pair in pairs:
        files.update(*map(supervisor_files, all_runs(pair.students)))
    return sorted({Path(file).parent for file in files})


def differences(run, other):
    """The names of that in which two runs differ: stage.comparable, and what it leaves out. Who
    compares them says which of these may."""
    names = ("seed", "loss", "model", "train", "labels")
    differing = {name for name in names if given(run, name) != given(other, name)}
    if run.get("loss_source") != other.get("loss_source"):
        differing.add("loss")
    commits = {one.get("versions", {}).get(given(one, "model")) for one in (run, other)}
    if len(commits - {None}) > 1:  # of a model on the hub, which has moved
        differing.add("model")
    return differing | different_settings(run, other)


def different_settings(run, other):
    ours, theirs = ({} if is_foreign(one) else stage.comparable(one) for one in (run, other))
    return {name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)}


def is_foreign(run):
    """Whether no stage made it: predictions that come from elsewhere."""
    return not {"args", "inputs"} <= run.keys()


def differs_from_ceiling(student, ceiling):
    """In what a student differs from its ceiling, but for labels and loss; of one that is prompted,
    or probed beside a finetuned ceiling, in model and test data: other settings are its own."""
    ours, theirs = stage.read_run(student), stage.read_run(ceiling)
    if is_foreign(ours) or is_foreign(theirs):
        return set()
    differing = differences(ours, theirs) - {"labels", "loss"}
    prompted = ours.get("stage") == "prompt_strong"
    probed = given(ours, "linear_probe") and not given(theirs, "linear_probe")
    if not prompted and not probed:
        return differing

    differing &= {"model", "test", "task"}
    finetuned = student.with_name(student.name.removesuffix("-then-probe"))
    if finetuned != student:
        # its features are those of the finetuned student beside it, as that one is today
        differing.discard("model")
        model = ours["inputs"].get("model")
        if stage.fingerprint(finetuned / "model", model)["sha256"] != given(ours, "model"):
            differing.add("model")
    return differing


def differs_from_student(control, name):
    """In what a control's recipe or loss differs from that of the student beside it."""
    kind = lineage.split_control(name)[1]
    if not kind:
        return set()  # it is none
    ours = stage.read_run(control)
    theirs = stage.read_run(control.with_name(control.name.removesuffix(f"-{kind}")))
    if is_foreign(ours) or is_foreign(theirs):
        return set()
    return differences(ours, theirs) - {"labels"}


def has_other_test(weak, ceiling):
    """Whether supervisor and ceiling were tested on different files, as both say."""
    tests = {given(stage.read_run(folder), "test") for folder in (weak, ceiling)}
    return len(tests - {None}) > 1


def on_newest_test(runs):
    """Those whose ceiling was tested on the same file as the newest ceiling, or does not say."""
    tests = {run.ceiling: given(stage.read_run(Path(run.ceiling).parent), "test") for run in runs}
    newest = max(filter(tests.get, tests), key=os.path.getmtime, default=None)
    return [run for run in runs if tests[run.ceiling] in (None, tests.get(newest))]


def pool_seeds(students, allowed):
    """{student name: [Run]} of the allowed runs, of those seeds that were made alike."""
    # all students of a table are held against the same supervisor and ceiling
    runs = [run for run in all_runs(students) if run in allowed]
    models = [(run.weak, run.ceiling, *supervisor_files(run)) for run in runs]
    runs = made_as_newest(runs, models, may_differ={"seed"})

    pool = {}
    for name in sorted(students, key=place_in_table):
        of_student = [run for run in students[name] if run in runs]
        models = [(run.student, *run.chain) for run in of_student]
        of_student = made_as_newest(of_student, models, may_differ={"seed", "labels"})
        if of_student:
            pool[name] = of_student
    return pool


def supervisor_files(run):
    """The prediction files of supervisors that label together, those that are beside a run."""
    folders = lineage.supervisors(Path(run.weak).parent)
    files = [folder / "predictions.jsonl" for folder in folders]
    return [str(file) for file in files if file.exists()]


def place_in_table(name):
    loss = name.partition(":")[0]  # conf:alpha=0.9 comes after conf
    return loss != "xent", loss != "conf", name


def made_as_newest(runs, models, may_differ):
    """Those of the runs whose models were made as those of the newest run.

    models      their prediction files, a list a run
    may_differ  of `differences` those that seeds may have
    """
    if not runs:
        return []
    ages = [max(map(os.path.getmtime, files)) for files in models]
    newest = models[ages.index(max(ages))]

    alike = []
    for run, files in zip(runs, models):
        differing = set()
        for file, other in zip(files, newest):
            folder = Path(file).parent
            ours, newests = stage.read_run(folder), stage.read_run(Path(other).parent)
            between = differences(ours, newests)
            if made_otherwise(ours, newests):
                between.add("made otherwise")
            if re.search("-generative(_|$)|-then-probe$", folder.name):  # each seed's own
                between.discard("model")
            differing |= between
        if differing <= may_differ:
            alike.append(run)
    return alike


def made_otherwise(run, other):
    """Whether the model or the labels that two runs were given were made with other settings."""
    for name in ("model", "labels"):
        paths = [one.get("inputs", {}).get(name, {}).get("path", "") for one in (run, other)]
        ours, theirs = (stage.read_run(Path(path).parent) for path in paths)
        if not is_foreign(ours) and not is_foreign(theirs) and different_settings(ours, theirs):
            return True
    return False


def loss_was_edited(folder):
    """Whether a model's loss is no longer what it was when the model was trained."""
    run = stage.read_run(folder)
    if "loss_source" not in run:
        return False
    name = run.get("args", {}).get("loss", "xent").partition(":")[0]
    try:
        return run["loss_source"] != source.loss_source(name)
    except SystemExit:  # it is not there any more
        return True


def sizes(pairs):
    """{strong model: its parameters}, where its run says so and did not start from a tuned one."""
    parameters = {}
    for pair in pairs:
        run = all_runs(pair.students)[0]  # of whichever seed
        folder = Path(run.ceiling).parent
        size = stage.read_run(folder).get("metrics", {}).get("parameters")
        if size and not folder.name.endswith("-generative"):
            parameters[pair.ceiling] = size
    return parameters


def alone(pair, metric="alone"):
    """The mean test accuracy of each of several supervisors; alone2: on the second test file."""
    of_seeds = []
    for folder in sorted({Path(run.weak).parent for run in all_runs(pair.students)}):
        of_seeds.append(stage.read_run(folder).get("metrics", {}).get(metric, []))
    means = [sum(accuracies) / len(of_seeds) for accuracies in zip(*of_seeds)]
    return means if len(means) > 1 else []
