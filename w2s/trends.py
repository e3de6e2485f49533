"""The report's pictures over several pairs of models: scaling.png and ladder.png."""

import math

from matplotlib.figure import Figure

from w2s.figures import CEILING, GREY, STUDENT, STYLES, columns_of, save
from w2s.report import column, on_all_rungs
from w2s.tables import size_text


def scaling(by_student, path):
    """scaling.png: test accuracy against the student's size, the ceiling above.

    by_student  as report.scaling gives it: a panel a student, three at most, a line a supervisor
    """
    names = list(by_student)[:3]
    figure = Figure(figsize=(4.6 * len(names) + 1.6, 3.8), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names):
        lines = by_student[name]
        draw_points(panel, lines["ceiling"], color=CEILING, marker="P", label="strong ceiling")
        for i, (weak, (level, points)) in enumerate(lines["supervisors"].items()):
            colour, marker = STYLES[i % len(STYLES)]
            dash = "-" if i < len(STYLES) else "--"
            draw_points(panel, points, color=colour, marker=marker, ls=dash,
                        label=f"students of {weak}")
            panel.axhline(level, color=colour, ls=":", lw=1.2)

        title = f"student: {name}"
        panel.set(xscale="log", xlabel="student's size, parameters", title=title)
        sizes = sorted({point["size"] for point in lines["ceiling"]})
        panel.set_xticks(sizes, map(size_text, sizes))
        panel.minorticks_off()
    panels[0].set_ylabel("test accuracy")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))

    seeds = set()
    for name in names:
        seeds |= {point["seeds"] for point in by_student[name]["ceiling"]}
    seeds = " to ".join(map(str, sorted({min(seeds), max(seeds)})))
    more = f" The first 3 students of {len(by_student)}." if len(by_student) > 3 else ""
    save(figure, path, f"Bars: ± 1 standard error, of test examples and of {seeds} seeds. "
                       f"Dotted: the supervisor itself.{more}")


def draw_points(panel, points, **style):
    """A line of accuracies over the sizes, with their standard errors."""
    size, mean, se = columns_of(points, "size", "accuracy", "accuracy_se")
    panel.errorbar(size, mean, se, capsize=3, **style)


# -------------------------------------------------------------------------------------- the ladder

def ladder(reports, path):
    """ladder.png: students and their controls over the accuracy of their supervisors.

    reports  as report.ladder gives them; a panel a student, the first six
    """
    by_student = on_all_rungs(reports)
    names = list(by_student)[:6]
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(2.5 * columns + 1, 2.5 * rows + 1), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel, name in zip(panels.flat, names):
        draw_rungs(panel, reports, by_student[name])
        panel.set_title(name)
    for panel in panels.flat[len(names):]:
        panel.set_visible(False)

    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    figure.supylabel("test accuracy", fontsize=9)
    for panel in panels[-1]:
        panel.set_xlabel("accuracy of the supervisor")
    strong = reports[0]["ceiling"]["name"]
    save(figure, path, f"Students of {strong}. Bars: ± 1 standard error. "
                       "Shaded: what the labels contributed.")


def draw_rungs(panel, reports, students):
    """A student and its control over the supervisors' accuracies."""
    weak, ceiling = column(reports, "weak"), reports[-1]["ceiling"]
    x = column(weak, "accuracy")
    mean, se = columns_of(students, "accuracy", "accuracy_se")
    level, band = ceiling["accuracy"], ceiling["accuracy_se"]
    panel.axhline(level, color=CEILING, label="strong ceiling")
    panel.axhspan(level - band, level + band, color=CEILING, alpha=0.15, lw=0)
    panel.plot(x, x, color=GREY, ls=":", lw=1.2, label="as good as its teacher")
    panel.errorbar(x, mean, se, color=STUDENT, fmt="o-", capsize=2, label="student")

    controls = [student["controls"].get("shuffled") for student in students]
    if all(controls):
        control, control_se = columns_of(controls, "accuracy", "accuracy_se")
        panel.errorbar(x, control, control_se, color=STUDENT, fmt="o--", mfc="white", lw=1,
                       elinewidth=0.8, label="its control: shuffled labels")
        panel.fill_between(x, control, mean, color=STUDENT, alpha=0.15, lw=0)
