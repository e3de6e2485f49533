"""The tables of report.md, from the numbers of report.py: markdown that a terminal shows too."""

import numbers


def of_pair(report):
    """The tables of one weak and one strong model, with what should be said about them."""
    students = [(f"student: {student_name(m, report)}", m) for m in report["students"]]
    models = [("weak supervisor", report["weak"]), *students, ("strong ceiling", report["ceiling"])]
    lines = opening(report)
    lines += ["", *table(models, ACCURACY_COLUMNS)]
    warned = warnings(report)
    if warned:
        lines += ["", *(f"- Warning: {warning}" for warning in warned)]
    for name, student in students:
        if student["chain"]:
            lines += ["", chain_line(name, student, report)]
    lines += ["", *confidence_table(models, report)]

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
    seeds = "one seed" if report["seeds"] == 1 else f"{report['seeds']} seeds"
    return f"{seeds}, {report['examples']} test examples"


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
    "agreement": number("agreement", error=False),
    "weak right": number("agreement_weak_right", error=False),
    "weak wrong": number("agreement_weak_wrong", error=False),
}

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
        "Agreement with the weak supervisor: overall, where it is right, where it is wrong.",
    ]
    if any(student["seeds"] != report["seeds"] for student in report["students"]):
        lines.append("A student of fewer seeds is compared within its own; "
                     "of one seed, ± counts test examples alone.")
    return lines


def chain_line(name, student, report):
    """Chain, student: xent-via-b: a 0.604 → b 0.650 → c 0.700."""
    between = student["name"].split("-via-")[1].split(",")
    links = [(report["weak"]["name"], report["weak"]["accuracy"])]
    for link, (accuracy, _) in zip(between, student["chain"]):
        links.append((link, accuracy))
    links.append((report["ceiling"]["name"], student["accuracy"]))
    steps = " → ".join(f"{link} {accuracy:.3f}" for link, accuracy in links)
    return f"Chain, {name}: {steps}."


def confidence_table(models, report):
    """The numbers of metrics.describe, but for accuracy, which stands above; and who is right."""
    columns = {}
    for key, value in report["weak"].items():
        counts = isinstance(value, numbers.Real) and not key.endswith(("_se", "_seeds"))
        if counts and key != "accuracy":
            columns[key] = number(key)
    columns["right where surer"] = number("right_if_surer")
    columns["right where less sure"] = number("right_if_less_sure")
    return [
        "Mean confidence, expected calibration error (10 bins), Brier score; and, of the test "
        "examples where student and supervisor",
        "differ, how often the student is right: where it is the more confident of the two, and "
        "where the less.",
        "",
        *table(models, columns),
    ]


# ---------------------------------------------------------------------------------------- warnings

def warnings(report):
    """What makes numbers of a report mean less than they seem to, and what to look at."""
    weak, ceiling = report["weak"], report["ceiling"]
    majority = max(report["class1"], 1 - report["class1"])  # accuracy of always giving that class
    texts = []
    if weak["accuracy"] - 2 * weak["accuracy_se"] <= majority:
        texts.append(
            "the weak supervisor is not clearly better than always giving the more frequent class "
            f"({majority:.3f}). Its labels say little; more --epochs, another --lr or more "
            "examples for train_weak.py may help.")

    texts += collapse_of("weak supervisor", weak, majority)
    for student in report["students"]:
        texts += collapse_of(f"student {student['name']}", student, majority)
    texts += collapse_of("strong ceiling", ceiling, majority)

    missing = {student.get("no_pgr") for student in report["students"]}
    if "no gap" in missing:
        texts.append(
            "the weak supervisor is as good as the ceiling or better: there is nothing to recover, "
            "and no PGR. See whether the ceiling was trained enough, or take a stronger student.")
    if "unclear" in missing:
        texts.append(
            "PGR is not given where the ceiling is not clearly above the weak supervisor (the 95% "
            "interval of the gap includes 0). A stronger student or more test examples would help.")
    return texts


def collapse_of(name, model, majority):
    """A warning where a model gives nearly one class only, in one of its seeds or more."""
    # of unbalanced data one class may well be predicted often
    limit = max(0.9, (1 + majority) / 2)
    collapsed = [share for share in model["class1_seeds"] if max(share, 1 - share) > limit]
    if not collapsed:
        return []
    shares = ", ".join(f"{share:.0%} class 1" for share in collapsed)
    seeds = f"{len(collapsed)} of {len(model['class1_seeds'])} seeds"
    return [f"{name} gives nearly one class only ({shares}, in {seeds}). Its training has "
            "collapsed: see its curve.jsonl; a smaller --lr or more examples may help."]


def warnings_of_runs(left_out, outdated):
    """What the runs of a results folder tell of themselves; both are folders."""
    texts = []
    for folder in left_out:
        texts.append(
            f"left out: {folder} was trained on other data or labels, or with other settings, than "
            "the ceiling beside it or the newest of the seeds, or with another version of its "
            "loss; run it again, or remove it.")
    for folder in outdated:
        texts.append(
            f"{folder} was trained with its loss as it was in losses.py before the last edit; "
            "run_all.sh with this loss in LOSSES trains it again.")
    return texts


# ----------------------------------------------------------------------------------------- scaling

def of_scaling(by_student):
    """Of each student in report.scaling a table: supervisors down, strong models across."""
    return [scaling_table(student, lines) for student, lines in by_student.items()]


def scaling_table(student, lines):
    rows = []
    for weak, (accuracy, points) in lines["supervisors"].items():
        rows.append((f"students of {weak} ({accuracy:.3f})", points))
    rows.append(("strong ceiling", lines["ceiling"]))

    columns = {}
    for ceiling in lines["ceiling"]:
        title = f"{ceiling['name']} ({size_text(ceiling['size'])})"
        columns[title] = point_column(ceiling["name"])
    title = (f"Scaling, student: {student}. Test accuracy by strong model, and its number of "
             "seeds; beside a supervisor's name its own.")
    return "\n".join([title, "", *table(rows, columns)])


def point_column(strong):
    """A column of the accuracy at one strong model, and of its seeds: 0.812 ± 0.010 (3)."""
    def cell(points):
        for point in points:
            if point["name"] == strong:
                return f"{number('accuracy')(point)} ({point['seeds']})"
        return ""
    return cell
