"""The numbers of a report, from predictions: what report.json holds. tables.py shows them."""

import collections
import operator
from pathlib import Path

import numpy as np

from w2s import lineage, metrics, pairs, records


def pair_reports(found, alone):
    """[pair_report] of [pairs.Pair], from their prediction files.

    alone  of each pair, the accuracies of the supervisors alone
    """
    if not found:
        return []
    truth, probs = read_all(pairs.files_in(found))
    return [pair_report(*pair, truth, probs, of_pair) for pair, of_pair in zip(found, alone)]


def read_all(files):
    """(n, K) truth, 1 at the right class, and {prediction file: (n, K) probabilities}, in the order
    of the ids.

    Files that do not hold the same ids, or not the same labels or as many classes, are refused.
    """
    labels, probs = {}, {}
    for path in files:
        rows = {row["id"]: row for row in records.read_jsonl(path, "id", "label", "probs")}
        if not labels:
            labels = {key: rows[key]["label"] for key in sorted(rows)}
        single = labels.keys() ^ rows.keys()
        if single:
            records.refuse(f"{path} and {files[0]} do not hold the same ids, so they cannot be "
                           f"compared: {min(single)} is in one only")
        for key in labels:
            if labels[key] != rows[key]["label"]:
                records.refuse(f"{path} and {files[0]} disagree about the label of {key}")
        probs[path] = np.array([rows[key]["probs"] for key in labels])
        classes, before = probs[path].shape[1], probs[files[0]].shape[1]
        if classes != before:
            records.refuse(f"{path} has probs of {classes} classes, {files[0]} of {before}: they "
                           "cannot be compared")
    return metrics.one_hot(list(labels.values()), probs[files[0]].shape[1]), probs


def pair_report(weak_name, ceiling_name, students, truth, probs, alone=()):
    """The numbers of one weak and one strong model and their students, over the seeds.

    students  {student name: [pairs.Run], one a seed}
    truth     (n, K), 1 at the right class
    probs     {prediction file: (n, K)}
    alone     accuracies of the supervisors alone, where several label together
    """
    runs = pairs.all_runs(students)
    seeds = sorted({(run.weak, run.ceiling) for run in runs})
    weak = stack(probs, [weak_file for weak_file, _ in seeds])
    ceiling = stack(probs, [ceiling_file for _, ceiling_file in seeds])

    of_weak = {"name": weak_name} | metrics.describe(weak, truth)
    if alone:
        of_weak["alone"] = alone
    of_ceiling = {"name": ceiling_name} | metrics.describe(ceiling, truth)
    of_ceiling |= metrics.agreement(ceiling, weak, truth)
    of_ceiling |= overfitting([ceiling_file for _, ceiling_file in seeds], len(truth))

    of_students = []
    for name, of_student in students.items():
        its_student, kind = lineage.split_control(name)
        if kind and its_student in students:
            continue  # it stands beside its student
        of_students.append(student_report(name, of_student, students, truth, probs))
    return {
        "examples": len(truth),
        "class_shares": truth.mean(0).tolist(),
        "seeds": len(seeds),
        "weak": of_weak,
        "ceiling": of_ceiling,
        "students": of_students,
    }


def student_report(name, runs, students, truth, probs):
    """The numbers of one student, against its supervisors, ceilings, controls and that of xent."""
    weak = stack(probs, [run.weak for run in runs])
    ceiling = stack(probs, [run.ceiling for run in runs])
    student = stack(probs, [run.student for run in runs])
    right = np.stack([metrics.same(p, truth) for p in (weak, ceiling, student)])  # (3, S, n)

    numbers = {"name": name, "seeds": len(runs)} | metrics.describe(student, truth)
    numbers["gain"], numbers["gain_se"] = metrics.mean_se(right[2] - right[0])
    numbers |= difference_to_xent(runs, students.get("xent", []), truth, probs)
    numbers["controls"] = {}
    for kind in lineage.CONTROLS:
        found = control_report(runs, students.get(f"{name}-{kind}", []), truth, probs)
        if found:
            numbers["controls"][kind] = found
    numbers |= metrics.pgr_interval(right)
    if numbers["pgr"] is None:
        numbers["no_pgr"] = "no gap" if right[1].mean() <= right[0].mean() else "unclear"
    numbers |= metrics.agreement(student, weak, truth)
    numbers |= metrics.disagreement(student, weak, truth)
    numbers |= overfitting([run.student for run in runs], len(truth))

    # [accuracy, its standard error] of each model between
    numbers["chain"] = []
    for link in zip(*(run.chain for run in runs)):
        numbers["chain"].append(metrics.mean_se(metrics.same(stack(probs, link), truth)))
    return numbers


def difference_to_xent(runs, xent_runs, truth, probs):
    """By how much a student is right more often than that of xent; of the seeds that have both."""
    if runs == xent_runs:
        return {}
    ours, theirs = of_same_seeds(runs, xent_runs, probs)
    if not len(ours):
        return {}
    mean, se = metrics.mean_se(metrics.same(ours, truth) - metrics.same(theirs, truth))
    return {"over_xent": mean, "over_xent_se": se, "over_xent_seeds": len(ours)}


def control_report(runs, control_runs, truth, probs):
    """The numbers of a student's control, and the labels' share: student minus control, with its
    95% interval, paired by seed and example; of the seeds that have both."""
    student, control = of_same_seeds(runs, control_runs, probs)
    if not len(student):
        return {}
    gained = metrics.same(student, truth) - metrics.same(control, truth)  # (S, n)
    share, half = float(gained.mean()), metrics.half_width(gained)
    numbers = {"seeds": len(control)} | metrics.describe(control, truth)
    return numbers | {"share": share, "share_low": share - half, "share_high": share + half}


def of_same_seeds(runs, others, probs):
    """Probabilities of two students, (S, n, K) each, of the seeds that have both."""
    other_of = {(run.weak, run.ceiling): run.student for run in others}
    both = [run for run in runs if (run.weak, run.ceiling) in other_of]
    ours = [probs[run.student] for run in both]
    theirs = [probs[other_of[run.weak, run.ceiling]] for run in both]
    return np.array(ours), np.array(theirs)


def stack(probs, files):
    """(S, n, K) probabilities, of a file a seed."""
    return np.stack([probs[file] for file in files])


# ------------------------------------------------------------------------------------- curves

def curve_beside(file):
    """The curve.jsonl of the run that made a prediction file, if it left one."""
    curve = Path(file).with_name("curve.jsonl")
    if Path(file).name == "predictions.jsonl" and curve.exists() and curve.stat().st_size:
        return curve
    return None


def overfitting(files, n):
    """{"curve": what the evaluations during training show} of the runs that made these files.

    files  of n predictions each, one a seed

    Empty where not all of them were evaluated, at the same steps. Standard errors of accuracy and
    agreement count examples, as if all seeds erred on the same ones (which is rather too much), and
    seeds; those of the loss count the seeds alone.
    """
    curves = [evaluations(path) for path in map(curve_beside, files) if path]
    if len(curves) < len(files) or not curves[0]:
        return {}
    steps = [column(points, "step") for points in curves]
    if any(of_seed != steps[0] for of_seed in steps):
        return {}

    curve = {"step": steps[0]}
    for key in ("accuracy", "agreement", "held_out_loss"):
        if all(key in points[0] for points in curves):
            curve |= mean_curve(curves, key, n)
    loss, accuracy = operator.itemgetter("held_out_loss"), operator.itemgetter("accuracy")
    curve["last"] = where_to_stop([points[-1] for points in curves])
    curve["held_out"] = where_to_stop([min(points, key=loss) for points in curves])
    curve["oracle"] = where_to_stop([max(points, key=accuracy) for points in curves])
    return {"curve": curve}


def evaluations(path):
    """The lines of a curve.jsonl that tell of an evaluation."""
    needed = {"step", "accuracy", "held_out_loss"}
    return [point for point in records.lines(path) if needed <= point.keys()]


def column(points, key):
    return [point[key] for point in points]


def mean_curve(curves, key, n):
    """Means over S seeds at P evaluations, (P,), and their standard errors, (P,)."""
    values = np.array([column(points, key) for points in curves])  # (S, P)
    seeds = len(values)
    variance = values.var(0, ddof=1) / seeds if seeds > 1 else np.zeros(values.shape[1])
    if key != "held_out_loss":
        variance = variance + (values * (1 - values)).mean(0) / n
    return {key: values.mean(0).tolist(), f"{key}_se": (variance**0.5).tolist()}


def where_to_stop(points):
    """The steps of these evaluations, one a seed, and the mean of their test accuracies."""
    accuracy = np.mean(column(points, "accuracy"))
    return {"steps": column(points, "step"), "accuracy": float(accuracy)}


# ------------------------------------------------------------------------------------ scaling

def scaling(reports, sizes):
    """Accuracy by the size of the strong model, of students of two strong models or more.

    sizes  {strong model: its parameters}
    ->     {student name: {"ceiling": [point], "supervisors": {weak name: (its accuracy, [point])}}}
    """
    def by_size(report):  # of equal ones that of most seeds first
        name = report["ceiling"]["name"]
        return sizes[name], name, -report["seeds"]

    sized = [report for report in reports if report["ceiling"]["name"] in sizes]
    by_student = collections.defaultdict(list)  # {student name: [(report, its numbers there)]}
    for report in sorted(sized, key=by_size):
        for student in report["students"]:
            by_student[student["name"]].append((report, student))

    panels = {}
    for name, students in by_student.items():
        ceilings = {}
        by_weak = collections.defaultdict(list)
        for report, student in students:
            strong = report["ceiling"]
            ceilings.setdefault(strong["name"], point_at(report, strong, sizes))
            by_weak[report["weak"]["name"]].append((report, point_at(report, student, sizes)))
        if len(ceilings) > 1:
            supervisors = {weak: line_of(points) for weak, points in by_weak.items()}
            panels[name] = {"ceiling": list(ceilings.values()), "supervisors": supervisors}
    return panels


def point_at(report, model, sizes):
    """The numbers of a student or a ceiling, at the size of the report's strong model."""
    name = report["ceiling"]["name"]
    return {
        "name": name,
        "size": sizes[name],
        "accuracy": model["accuracy"],
        "accuracy_se": model["accuracy_se"],
        "seeds": model.get("seeds", report["seeds"]),
    }


def line_of(points):
    """(accuracy of a supervisor, its students' points), from [(report, point)].

    Its accuracy is that of the report of most seeds.
    """
    most_seeds = max(report["seeds"] for report, _ in points)
    report = next(report for report, _ in points if report["seeds"] == most_seeds)
    return report["weak"]["accuracy"], [point for _, point in points]


# ------------------------------------------------------------------------------------- the ladder

def ladder(reports):
    """The reports of the strong model that has most supervisors, from the worst of them to the
    best; none where it has fewer than three, or no student that all of them have."""
    def of_supervisor(report):
        return report["weak"]["accuracy"]

    by_strong = collections.defaultdict(list)
    for report in reports:
        by_strong[report["ceiling"]["name"]].append(report)
    rungs = sorted(max(by_strong.values(), key=len), key=of_supervisor)
    return rungs if len(rungs) > 2 and on_all_rungs(rungs) else []


def on_all_rungs(rungs):
    """{student name: [its numbers, a rung each]} of the students that all supervisors have."""
    by_student = collections.defaultdict(list)
    for report in rungs:
        for student in report["students"]:
            by_student[student["name"]].append(student)
    return {name: students for name, students in by_student.items() if len(students) == len(rungs)}
