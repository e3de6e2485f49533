"""The report's pictures of each pair of models, a row of panels a pair; trends.py has the others.

Colours are Okabe and Ito's, which the colour-blind tell apart; students differ by marker as well.
Bars and bands are one standard error.
"""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from w2s.report import column
from w2s.tables import pgr_text, setting, student_name

matplotlib.rcParams.update({
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold a dollar sign
})
WEAK, CEILING, STUDENT, GREY = "#0072B2", "#009E73", "#D55E00", "#555555"

CONTROLS = {"shuffled": "o", "uniform": "D"}  # markers of controls, which are hollow

# colour and marker of the students that a picture has room for
STYLES = [(STUDENT, "o"), ("#CC79A7", "s"), ("#E69F00", "^"), ("#56B4E9", "D")]


# ------------------------------------------------------------------------- what pictures share

def grid(reports, columns, row_heights, width=8.0, pad=6):
    """A figure with a row of panels a report, titled by its pair. Sizes are in inches.

    pad  points between title and panel
    """
    figure = Figure(figsize=(width, sum(row_heights) + 0.3), layout="constrained")
    panels = figure.subplots(len(reports), columns, squeeze=False, height_ratios=row_heights)
    for row, report in zip(panels, reports):
        title = f"{report['weak']['name']} → {report['ceiling']['name']}: {setting(report)}"
        row[0].set_title(title, loc="left", pad=pad)
    return figure, panels


def row_height(names):
    return 1.3 + 0.32 * names


def save(figure, path, caption):
    figure.supxlabel(caption, x=0.99, ha="right", fontsize=7.5, color=GREY)
    figure.savefig(path, dpi=160)


def name_rows(panel, names):
    """Names the rows of a panel, from the top, and puts its legend above them."""
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(axis="x", color="#dddddd", lw=0.6)
    panel.set_axisbelow(True)
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)


def student_names(report):
    return [student_name(student, report) for student in report["students"]]


def styled_students(report, key="name"):
    """[(student, colour, marker, name)] of the first that have `key`, one a style."""
    students = [student for student in report["students"] if key in student]
    return [(student, *style, student["name"]) for student, style in zip(students, STYLES)]


def left_out_text(reports, key="name"):
    """What a caption says where a picture has no room for all students that have `key`."""
    counts = []
    for report in reports:
        counts.append(sum(key in student for student in report["students"]))
    if max(counts) <= len(STYLES):
        return ""
    return f" The first {len(STYLES)} students of {max(counts)}."


def columns_of(points, *keys):
    """Lists of the points' values, one a key."""
    return [column(points, key) for key in keys]


# ------------------------------------------------------------------------------------ pictures

def accuracy(reports, path):
    """pgr.png: test accuracy of every student between floor and ceiling, and its PGR."""
    heights = [row_height(len(report["students"])) for report in reports]
    figure, panels = grid(reports, 1, heights, pad=22)
    for (panel,), report in zip(panels, reports):
        draw_level(panel, report["weak"], WEAK, "weak supervisor")
        draw_level(panel, report["ceiling"], CEILING, "strong ceiling")

        students = report["students"]
        for kind, marker in CONTROLS.items():
            controls = [student["controls"].get(kind) for student in students]
            draw_accuracies(panel, controls, fmt=marker, mfc="white", alpha=0.7)
        draw_accuracies(panel, students, fmt="o", capsize=3)
        for y, student in enumerate(students):
            panel.text(1.01, y, pgr_text(student), va="center",
                       transform=panel.get_yaxis_transform())
        panel.text(1.01, 1.02, "PGR [95%]", va="bottom", color=GREY, transform=panel.transAxes)
        name_rows(panel, student_names(report))

    panels[-1, 0].set_xlabel("test accuracy")
    caption = "Bars and bands: ± 1 standard error; [ ]: 95% interval."
    kinds = set()
    for report in reports:
        kinds = kinds.union(*column(report["students"], "controls"))
    if kinds:
        caption += f" Hollow: controls, taught {' or '.join(sorted(kinds))} labels."
    save(figure, path, caption)


def draw_accuracies(panel, models, **style):
    """The accuracies of models, a row each from the top, with their errors; None: none there."""
    rows = [y for y, model in enumerate(models) if model]
    if rows:
        mean, se = columns_of([models[y] for y in rows], "accuracy", "accuracy_se")
        panel.errorbar(mean, rows, xerr=se, color=STUDENT, **style)


def draw_level(panel, model, colour, name):
    """The accuracy of a model as a vertical line, its standard error as a band."""
    mean, se = model["accuracy"], model["accuracy_se"]
    panel.axvline(mean, color=colour, label=f"{name} {mean:.3f}")
    panel.axvspan(mean - se, mean + se, color=colour, alpha=0.15, lw=0)


def imitation(reports, path):
    """agreement.png: does a student repeat its supervisor's errors, or only what it got right?"""
    heights = [row_height(len(report["students"]) + 1) for report in reports]
    figure, panels = grid(reports, 1, heights, pad=22)
    for (panel,), report in zip(panels, reports):
        draw_agreement(panel, report, "agreement_weak_right", "o", ":",
                       "where the supervisor is right")
        draw_agreement(panel, report, "agreement_weak_wrong", "X", "--", "where it is wrong")
        name_rows(panel, [*student_names(report), "strong ceiling"])
        panel.set_xlim(0, 1.02)

    panels[-1, 0].set_xlabel("agreement with the weak supervisor")
    save(figure, path, "Bars: ± 1 standard error. "
                       "The ceiling never saw the supervisor: dotted where this is right, "
                       "dashed where wrong.")


def draw_agreement(panel, report, key, marker, dash, label):
    """One agreement of every student, from the top, and of the ceiling below them."""
    models = [*report["students"], report["ceiling"]]
    # nan where the supervisor is hardly ever right, or wrong
    share = np.array([model[key] for model in models], float)
    se = np.array([model[f"{key}_se"] for model in models], float)
    last = len(models) - 1
    panel.errorbar(share[:-1], range(last), xerr=se[:-1], fmt=marker, color=STUDENT, capsize=3,
                   label=label)
    panel.errorbar(share[-1], last, xerr=se[-1], fmt=marker, color=CEILING, capsize=3)
    panel.axvline(share[-1], color=CEILING, ls=dash, lw=1)


def confidence(reports, path):
    """confidence.png: is a student as often right as it is confident?

    And is it right where it is surer than its supervisor?
    """
    thin = {"ms": 4, "lw": 1, "elinewidth": 0.6}
    figure, panels = grid(reports, 2, [3.3] * len(reports))
    for (left, right), report in zip(panels, reports):
        students = styled_students(report)

        # calibration of all models
        guess = 1 / len(report["class_shares"])
        left.plot([guess, 1], [guess, 1], color=GREY, lw=1, ls=":")
        weak = report["weak"], WEAK, "v", "weak supervisor"
        ceiling = report["ceiling"], CEILING, "P", "strong ceiling"
        for model, colour, marker, name in [weak, *students, ceiling]:
            x, y, se = columns_of(model["reliability"], "confidence", "accuracy", "accuracy_se")
            label = f"{name}: ECE {model['ece']:.3f}"
            left.errorbar(x, y, se, color=colour, marker=marker, label=label, **thin)
        left.legend(loc="best", fontsize=7.5)
        left.set(xlabel="confidence", ylabel="share right", ylim=(0, 1.02))

        # who is right where student and supervisor differ
        for student, colour, marker, name in students:
            x, y, se = columns_of(student["by_confidence"], "surer_by", "right", "right_se")
            right.errorbar(x, y, se, color=colour, marker=marker, label=name, **thin)
        right.axhline(guess, color=GREY, lw=1, ls=":")
        right.axvline(0, color=GREY, lw=1, ls=":")
        right.set(xlabel="student's minus supervisor's confidence",
                  ylabel="student right, where the two differ", ylim=(0, 1.02))
        right.legend(loc="best", fontsize=7.5)

    save(figure, path, "Bars: ± 1 standard error. ECE: expected calibration error. "
                       f"Dotted: perfect calibration; chance.{left_out_text(reports)}")


def with_curves(reports):
    """The reports of which a student was evaluated on its way."""
    return [report for report in reports if styled_students(report, "curve")]


def curves(reports, path):
    """curves.png: does training on weak labels overfit to the supervisor's errors?"""
    reports = with_curves(reports)
    figure, panels = grid(reports, 3, [3.0] * len(reports), width=11.5)
    for row, report in zip(panels, reports):
        students = styled_students(report, "curve")
        ceiling = report["ceiling"], CEILING, "P", "strong ceiling"
        for model, colour, marker, name in [*students, ceiling]:
            for panel, key in zip(row, ("accuracy", "agreement", "held_out_loss")):
                draw_curve(panel, model.get("curve", {}), key, colour, marker, name)

        row[0].axhline(report["weak"]["accuracy"], color=WEAK, lw=1.2, label="weak supervisor")
        handles, names = row[0].get_legend_handles_labels()
        row[-1].legend(handles, names, loc="upper left", bbox_to_anchor=(1, 1))
        row[0].set(xlabel="step", ylabel="test accuracy (ground truth)")
        row[1].set(xlabel="step", ylabel="agreement with supervisor, test")
        row[2].set(xlabel="step", ylabel="loss on held-out training labels")

    save(figure, path, "Bands: ± 1 standard error, of test examples and seeds; of the loss: "
                       f"of seeds alone.{left_out_text(reports, 'curve')}")


def draw_curve(panel, curve, key, colour, marker, name):
    """A line with its band over the steps, where a model was evaluated so."""
    if key not in curve:
        return
    step = np.array(curve["step"])
    mean, se = np.array(curve[key]), np.array(curve[f"{key}_se"])
    panel.plot(step, mean, color=colour, marker=marker, ms=4, lw=1.2, label=name)
    panel.fill_between(step, mean - se, mean + se, color=colour, alpha=0.15, lw=0)
