"""Who taught a student, read off the names of its folder; and whether it learned today's labels.

    seed<k>/W-to-S_NAME     NAME: LOSS[-via-MODEL,MODEL][-own][-LABELS]
                            LABELS: [truth0.1][-FILTER0.5][-shuffled|-uniform]

W and S are the weak supervisor's and the strong model's names. -via- names the models of a chain
between them. -own: labelled by the strong model itself, asked.

LABELS is what was made of these labels, in this order, and ends the name of their folder too,
labels_W-truth0.1-shuffled. truth0.1: a tenth of them is ground truth (label_weak.py); FILTER0.5:
half of them are left, by confidence, unanimity, trust or at random (filter_labels.py); the last one
marks a control, of all of them (control_labels.py).

A supervisor's test predictions, the floor, lie in weak_W/; those of several that label together,
W being what they are called together, in labels_W/.
"""

import itertools
import re
from pathlib import Path

from w2s import stage

CONTROLS = ("shuffled", "uniform")  # what control_labels.py makes of labels
FILTERS = ("confidence", "unanimity", "trust", "random")  # how filter_labels.py chooses
REMADE = ("control_labels", "filter_labels")  # stages that make labels of other labels

SEED = r"seed(0|[1-9]\d*)"
SHARE = r"(0\.\d+|1)"
MADE_OF_LABELS = re.compile(
    rf"(-truth{SHARE})?(-({'|'.join(FILTERS)}){SHARE})?(-({'|'.join(CONTROLS)}))?$")


def split_name(student):
    """(weak name, ceiling name, student name) of a folder seed<k>/W-to-S_NAME.

    None where these two are not beside it, or the folder above it is a copy of a seed.
    """
    seed = student.parent
    if not re.fullmatch(SEED, seed.name):
        return None
    split = None
    supervisors = models_in(seed, "weak_") + models_in(seed, "labels_")
    for weak, ceiling in itertools.product(supervisors, models_in(seed, "ceiling_")):
        begin = f"{weak}-to-{ceiling}_"
        longer = not split or len(weak + ceiling) > len(split[0] + split[1])
        if student.name.startswith(begin) and longer:  # of m and m_v2 the longer is meant
            split = weak, ceiling, student.name.removeprefix(begin)
    return split


def models_in(seed, role):
    """The models that a seed has in a role: of weak_gpt2/ and weak_bert/ bert and gpt2."""
    files = sorted(seed.glob(f"{role}*/predictions.jsonl"))
    return [file.parent.name.removeprefix(role) for file in files]


def has_ceiling(student):
    """Whether a seed has the ceiling of a student, going by the student's name alone."""
    seed = student.parent
    return bool(re.fullmatch(SEED, seed.name)) and any(
        f"-to-{ceiling}_" in student.name for ceiling in models_in(seed, "ceiling_"))


def floor(seed, weak_name):
    """The folder of a supervisor's test predictions: weak_W; of several together labels_W."""
    alone = seed / f"weak_{weak_name}"
    return alone if (alone / "predictions.jsonl").exists() else seed / f"labels_{weak_name}"


def supervisors(labels):
    """The folders of those that together gave labels, beside them; none where it was one alone."""
    inputs = stage.read_run(labels).get("inputs", {})
    found = []
    for name, model in inputs.items():
        if re.fullmatch(r"model\d+", name):
            found.append(labels.with_name(Path(model["path"]).parent.name))
    return found


def split_control(name):
    """A student's name without the part that marks a control, and its kind: "" where it is none."""
    for kind in CONTROLS:
        if name.endswith(f"-{kind}"):
            return name.removesuffix(f"-{kind}"), kind
    return name, ""


def split_labels(name):
    """A student's name, and the ending that says what was made of its supervisor's labels.

    "conf-truth0.1-shuffled" -> "conf", "-truth0.1-shuffled"
    """
    begin = MADE_OF_LABELS.search(name).start()
    return name[:begin], name[begin:]


def teachers(begin, name):
    """The folders of the models between in a chain, each taught by the one before it.

    begin "a-to-", name "xent-via-b,c" -> a-to-b_xent, a-to-c_xent-via-b
    """
    loss, _, via = split_labels(name)[0].partition("-via-")
    names = via.split(",") if via else []
    folders = []
    for i, model in enumerate(names):
        before = ",".join(names[:i])
        folders.append(f"{begin}{model}_{loss}" + (f"-via-{before}" if before else ""))
    return folders


def has_old_labels(student, weak_name, ceiling_name, name):
    """Whether a student, or a model between, learned other labels than its teacher gives today."""
    seed = student.parent
    ceiling = stage.read_run(seed / f"ceiling_{ceiling_name}")
    truth = given(ceiling, "labels")
    name, made = split_labels(name)
    if name.endswith("-own"):
        labels = f"labels_{ceiling_name}-own"
        steps = [("", labels, student.name)]
        asked, trained = given(stage.read_run(seed / labels), "model"), given(ceiling, "model")
        if asked and trained and asked != trained:
            return True  # of another model than the one that student and ceiling start from
    else:
        links = teachers(f"{weak_name}-to-", name)
        labels = [f"labels_{weak_name}", *(f"labels_{link}" for link in links)]
        steps = list(zip([f"weak_{weak_name}", *links], labels, [*links, student.name]))

    for teacher, labels, pupil in steps:
        if pupil == student.name:
            labels += made
        run = stage.read_run(seed / pupil)
        learned = given(run, "labels")
        if not learned or not (seed / labels / "labels.jsonl").exists():
            continue  # nothing to compare
        if run.get("stage") == "prompt_strong" and learned == truth:
            continue  # shots may have ground truth
        if learned != stage.fingerprint(seed / labels / "labels.jsonl")["sha256"]:
            return True
        if are_old(seed / labels, teacher, truth):
            return True
    return False


def are_old(labels, teacher, truth):
    """Whether a folder of labels is of an earlier model of the teacher's, or of other examples
    than the ceiling's, or made of labels that are so. teacher: its folder's name, or ""
    """
    run = stage.read_run(labels)
    if run.get("stage") in REMADE:
        origin = labels.with_name(labels.name.rpartition("-")[0])
        now = origin / "labels.jsonl"
        if now.exists() and stage.fingerprint(now)["sha256"] != given(run, "labels"):
            return True
        return are_old(origin, teacher, truth)

    made_from = run.get("inputs", {})
    if truth and "data" in made_from and made_from["data"]["sha256"] != truth:
        return True
    models = [made_from[name] for name in made_from if re.fullmatch(r"model\d*", name)]
    taught_by = supervisors(labels)
    if not taught_by and teacher:
        taught_by = [labels.with_name(teacher)]
    for folder, model in zip(taught_by, models):
        if not (folder / "model").exists():
            continue
        if stage.fingerprint(folder / "model", model)["sha256"] != model["sha256"]:
            return True
    return False


def given(run, name):
    """An argument of a run: of a file or folder its sha256, of anything else its value."""
    file = run.get("inputs", {}).get(name, {})
    return file.get("sha256", run.get("args", {}).get(name))
