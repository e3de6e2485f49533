"""The tables of report.md, from the numbers of report.py: markdown that a terminal shows too."""

import numbers

from w2s import warnings
from w2s.lineage import split_control, split_labels


def of_pair(report, brief=False):
    """The tables of one weak and one strong model, with what should be said about them.

    brief  without what the tables of another test file have explained
    """
    students = []
    for student in report["students"]:
        role = "control" if split_control(student["name"])[1] else "student"
        students.append((f"{role}: {student_name(student, report)}", student))
    models = [("weak supervisor", report["weak"]), *students, ("strong ceiling", report["ceiling"])]
    lines = opening(report)[:1] if brief else opening(report)
    lines += ["", *table(models, ACCURACY_COLUMNS)]
    if "alone" in report["weak"]:
        lines += ["", together_line(report["weak"]["alone"])]
    warned = warnings.of_report(report)
    if brief:
        warned = map(first_sentence, warned)
    if warned:
        lines += ["", *(f"- Warning: {warning}" for warning in warned)]
    for name, student in students:
        if student["chain"]:
            lines += ["", chain_line(name, student, report)]
    explained = [] if brief else [*AGREEMENT_TITLE, ""]
    lines += ["", *explained, *second_table(models, report)]

    evaluated = [(name, model["curve"]) for name, model in models if "curve" in model]
    if evaluated:
        lines += ["", *STOPPING_TITLE, "", *table(evaluated, STOPPING_COLUMNS)]
    return "\n".join(lines)


def table(models, columns):
    """Lines of markdown.

    models   [(name, its numbers)], a row each
    columns  {title: numbers -> cell}; one where all cells are empty is left out
    """
    filled = [["", *(name for name, _ in models)]]
    for title, cell in columns.items():
        cells = [cell(model) for _, model in models]
        if any(cells):
            filled.append([title, *cells])

    aligned = []
    for title, *cells in filled:
        width = max(map(len, [title, *cells]))
        aligned.append([text.ljust(width) for text in (title, "-" * width, *cells)])
    return ["| " + " | ".join(row) + " |" for row in zip(*aligned)]


# --------------------------------------------------------------------------------- names and cells

def setting(report):
    """5 seeds, 1000 test examples"""
    return f"{of_seeds(report)}, {report['examples']} test examples"


def of_seeds(model):
    """3 seeds"""
    return "one seed" if model["seeds"] == 1 else f"{model['seeds']} seeds"


def student_name(student, report):
    """A student's name, with the number of seeds where some of them are missing."""
    if student["seeds"] == report["seeds"]:
        return student["name"]
    return f"{student['name']} ({student['seeds']} of the seeds)"


def pgr_text(student):
    """0.57 [0.33, 0.78]"""
    if student["pgr"] is None:
        return student["no_pgr"]
    return "{pgr:.2f} [{pgr_low:.2f}, {pgr_high:.2f}]".format(**student)


def size_text(size):
    """135M, 1.6B"""
    return f"{size / 1e9:.1f}B" if size >= 1e9 else f"{size / 1e6:.0f}M"


def number(key, form=".3f", error=True):
    """A column of a model's number, with its standard error if there is one.

    Its cell is empty where the model has no such number.
    """
    def cell(model):
        if model.get(key) is None:
            return ""
        text = f"{model[key]:{form}}"
        if error and f"{key}_se" in model:
            text += f" ± {model[f'{key}_se']:.3f}"
        return text
    return cell


def over_xent_cell(model):
    text = number("over_xent", "+.3f")(model)
    if "over_xent" in model and model["over_xent_seeds"] != model["seeds"]:
        text += f" ({model['over_xent_seeds']} seeds)"
    return text


def pgr_cell(model):
    return pgr_text(model) if "pgr" in model else ""


def share_text(control):
    """+0.210 [0.150, 0.270]"""
    return "{share:+.3f} [{share_low:.3f}, {share_high:.3f}]".format(**control)


def control_column(kind, cell):
    """A column of a student's control of this kind, empty where it has none."""
    def its_cell(model):
        control = model.get("controls", {}).get(kind)
        if not control:
            return ""
        text = cell(control)
        return text if control["seeds"] == model["seeds"] else f"{text} ({of_seeds(control)})"
    return its_cell


def stop_column(stop):
    """A column of the test accuracy at a stop, and of its steps: 0.812 (40, 60)."""
    def cell(curve):
        steps = ", ".join(map(str, sorted(set(curve[stop]["steps"]))))
        return f"{curve[stop]['accuracy']:.3f} ({steps})"
    return cell


# ----------------------------------------------------------------------------- the tables of a pair

ACCURACY_COLUMNS = {
    "accuracy": number("accuracy"),
    "over weak": number("gain", "+.3f"),
    "over xent": over_xent_cell,
    "PGR [95%]": pgr_cell,
    "control": control_column("shuffled", number("accuracy")),
    "labels' share [95%]": control_column("shuffled", share_text),
    "uniform control": control_column("uniform", number("accuracy")),
    "share over it [95%]": control_column("uniform", share_text),
}

AGREEMENT_COLUMNS = {
    "agreement": number("agreement", error=False),
    "weak right": number("agreement_weak_right", error=False),
    "weak wrong": number("agreement_weak_wrong", error=False),
}

AGREEMENT_TITLE = [
    "Agreement with the weak supervisor: overall, where it is right, where it is wrong. Area "
    "under the ROC curve (of two",
    "classes), mean confidence, expected calibration error (10 bins), Brier score; and, of the "
    "test examples where student",
    "and supervisor differ, how often the student is right: where it is the more confident of "
    "the two, and where the less.",
]

STOPPING_TITLE = [
    "Test accuracy where training could stop (at step): its end; the evaluation with the lowest "
    "loss on held-out training labels; the one with the highest test accuracy, an oracle that no "
    "one has."
]
STOPPING_COLUMNS = {
    "last step": stop_column("last"),
    "best on held-out labels": stop_column("held_out"),
    "oracle": stop_column("oracle"),
}


def opening(report):
    """Lines that say what is compared, and what the errors count."""
    counted = "test examples and of seeds"
    if report["seeds"] == 1:
        counted = ("test examples, not how training varies: of one seed small\n"
                   "differences between losses mean little")
    lines = [
        f"{report['weak']['name']} supervises {report['ceiling']['name']}: {setting(report)}.",
        f"± is one standard error; it and the 95% intervals count the choice of {counted}.",
    ]
    kinds = {kind for student in report["students"] for kind in student["controls"]}
    if kinds:
        lines += [
            "Control: the same student, taught labels that say nothing (the same ones shuffled, or "
            "all alike).",
            "The labels' share, student minus control, is what they contributed; the rest is the "
            "strong model's own.",
        ]
    else:
        lines.append("No controls: what the labels contributed, and what the strong model's own "
                     "prior, is not known (CONTROL=1).")
    if any(student["seeds"] != report["seeds"] for student in report["students"]):
        lines.append("A student of fewer seeds is compared within its own; "
                     "of one seed, ± counts test examples alone.")
    return lines


def first_sentence(warning):
    """What is the matter, without what may help."""
    return warning.partition(". ")[0].removesuffix(".") + "."


def together_line(alone):
    """The weak supervisor is the mean of 3: 0.781, 0.793, 0.776 alone."""
    accuracies = ", ".join(f"{accuracy:.3f}" for accuracy in alone)
    return f"The weak supervisor is the mean of {len(alone)}: {accuracies} alone."


def chain_line(name, student, report):
    """Chain, student: xent-via-b: a 0.604 → b 0.650 → c 0.700."""
    between = split_labels(student["name"])[0].partition("-via-")[2].split(",")
    links = [(report["weak"]["name"], report["weak"]["accuracy"])]
    for link, (accuracy, _) in zip(between, student["chain"]):
        links.append((link, accuracy))
    links.append((report["ceiling"]["name"], student["accuracy"]))
    steps = " → ".join(f"{link} {accuracy:.3f}" for link, accuracy in links)
    return f"Chain, {name}: {steps}."


def second_table(models, report):
    """Agreement; the numbers of metrics.describe but accuracy, which stands above; who is right."""
    columns = dict(AGREEMENT_COLUMNS)
    for key, value in report["weak"].items():
        counts = isinstance(value, numbers.Real) and not key.endswith(("_se", "_seeds"))
        if counts and key != "accuracy":
            columns[key] = number(key)
    columns["control's auc"] = control_column("shuffled", number("auc"))
    columns["right where surer"] = number("right_if_surer")
    columns["right where less sure"] = number("right_if_less_sure")
    return table(models, columns)
