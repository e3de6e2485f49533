"""The report's pictures, each from the reports of evaluate_pgr.py: a row of panels a pair of weak and strong model.

Colours are Okabe and Ito's, which the colour-blind tell apart; students differ by marker as well. Bars and bands are one standard error.
"""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from w2s.report import in_words, named, pgr_text, setting

matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "axes.titlesize": 10, "legend.frameon": False,
                            "text.parse_math": False})  # names may hold a dollar sign
WEAK, CEILING, STUDENT, GREY = "#0072B2", "#009E73", "#D55E00", "#555555"
STYLES = [(STUDENT, "o"), ("#CC79A7", "s"), ("#E69F00", "^"), ("#56B4E9", "D")]  # of the students that a picture has room for


def grid(reports, columns, row_heights, width=8.0, pad=6):
    """A figure with a row of panels a report, titled by its pair; pad: points between title and panel."""
    figure = Figure(figsize=(width, sum(row_heights) + 0.3), layout="constrained")
    panels = figure.subplots(len(reports), columns, squeeze=False, height_ratios=row_heights)
    for row, report in zip(panels, reports):
        row[0].set_title(f"{report['weak']['name']} → {report['ceiling']['name']}: {setting(report)}", loc="left", pad=pad)
    return figure, panels


def save(figure, path, caption):
    figure.supxlabel(caption, x=0.99, ha="right", fontsize=7.5, color=GREY)
    figure.savefig(path, dpi=160)


def rows_of(panel, names):
    """Names the rows of a panel, from the top, and puts its legend above them."""
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(axis="x", color="#dddddd", lw=0.6)
    panel.set_axisbelow(True)
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)


def accuracy(reports, path):
    """pgr.png: test accuracy of every student between floor and ceiling, and its PGR."""
    figure, panels = grid(reports, 1, [1.3 + 0.32 * len(report["students"]) for report in reports], pad=22)
    for (panel,), report in zip(panels, reports):
        for role, colour, text in (("weak", WEAK, "weak supervisor"), ("ceiling", CEILING, "strong ceiling")):
            m = report[role]
            panel.axvline(m["accuracy"], color=colour, label=f"{text} {m['accuracy']:.3f}")
            panel.axvspan(m["accuracy"] - m["accuracy_se"], m["accuracy"] + m["accuracy_se"], color=colour, alpha=0.15, lw=0)
        for y, m in enumerate(report["students"]):
            panel.errorbar(m["accuracy"], y, xerr=m["accuracy_se"], fmt="o", color=STUDENT, capsize=3)
            panel.text(1.01, y, pgr_text(m), va="center", transform=panel.get_yaxis_transform())
        panel.text(1.01, 1.02, "PGR [95%]", va="bottom", color=GREY, transform=panel.transAxes)
        rows_of(panel, [named(m, report) for m in report["students"]])
    panels[-1, 0].set_xlabel("test accuracy")
    save(figure, path, "Bars and bands: ± 1 standard error; [ ]: 95% interval.")


def imitation(reports, path):
    """agreement.png: does a student repeat its supervisor's errors, or only what it got right?"""
    figure, panels = grid(reports, 1, [1.3 + 0.32 * (len(report["students"]) + 1) for report in reports], pad=22)
    for (panel,), report in zip(panels, reports):
        models = [*report["students"], report["ceiling"]]
        for key, marker, text in (("agreement_weak_right", "o", "where the supervisor is right"), ("agreement_weak_wrong", "X", "where it is wrong")):
            share, se = (np.array([m[name] for m in models], float) for name in (key, f"{key}_se"))  # nan where it hardly ever is
            panel.errorbar(share[:-1], range(len(models) - 1), xerr=se[:-1], fmt=marker, color=STUDENT, capsize=3, label=text)
            panel.errorbar(share[-1], len(models) - 1, xerr=se[-1], fmt=marker, color=CEILING, capsize=3)
            panel.axvline(share[-1], color=CEILING, ls=":", lw=1)
        rows_of(panel, [named(m, report) for m in report["students"]] + ["strong ceiling"])
        panel.set_xlim(0, 1.02)
    panels[-1, 0].set_xlabel("agreement with the weak supervisor")
    save(figure, path, "Bars: ± 1 standard error. Dotted: the ceiling's, which never saw the supervisor.")


def shown(report, key="name"):
    """(student, colour, marker, name) of the first that a picture has room for, of those that have what it shows."""
    return [(m, *style, m["name"]) for m, style in zip((m for m in report["students"] if key in m), STYLES)]


def hidden(reports, key="name"):
    """What a picture leaves out."""
    most = max(sum(key in m for m in report["students"]) for report in reports)
    return f" The first {len(STYLES)} students of {most}." if most > len(STYLES) else ""


def confidence(reports, path):
    """confidence.png: is a student as often right as it is confident, and right where it is surer than its supervisor?"""
    figure, panels = grid(reports, 2, [3.3] * len(reports))
    for (left, right), report in zip(panels, reports):
        students = shown(report)
        left.plot([0.5, 1], [0.5, 1], color=GREY, lw=1, ls=":")
        for m, colour, marker, name in [(report["weak"], WEAK, "v", "weak supervisor"), *students,
                                        (report["ceiling"], CEILING, "P", "strong ceiling")]:
            x, y, se = ([point[key] for point in m["reliability"]] for key in ("confidence", "accuracy", "accuracy_se"))
            left.errorbar(x, y, se, color=colour, marker=marker, ms=4, lw=1, elinewidth=0.6, label=f"{name}: ECE {m['ece']:.3f}")
        left.legend(loc="lower right", fontsize=7.5)
        left.set(xlabel="confidence", ylabel="share right", ylim=(0, 1.02))
        for m, colour, marker, name in students:
            x, y, se = ([point[key] for point in m["by_confidence"]] for key in ("surer_by", "right", "right_se"))
            right.errorbar(x, y, se, color=colour, marker=marker, ms=4, lw=1, elinewidth=0.6, label=name)
        right.axhline(0.5, color=GREY, lw=1, ls=":")
        right.axvline(0, color=GREY, lw=1, ls=":")
        right.set(xlabel="student's minus supervisor's confidence", ylabel="student right, where the two differ", ylim=(0, 1.02))
        right.legend(loc="lower right", fontsize=7.5)
    save(figure, path, f"Bars: ± 1 standard error. ECE: expected calibration error. Dotted: perfect calibration; chance.{hidden(reports)}")


def curves(reports, path):
    """curves.png: does training on weak labels overfit to the supervisor's errors?"""
    reports = [report for report in reports if any("curve" in m for m in report["students"])]
    figure, panels = grid(reports, 3, [3.0] * len(reports), width=11.5)
    for row, report in zip(panels, reports):
        for m, colour, marker, name in [*shown(report, "curve"), (report["ceiling"], CEILING, "P", "strong ceiling")]:
            for panel, key in zip(row, ("accuracy", "agreement", "held_out_loss")):
                if key in m.get("curve", {}):
                    step, mean, se = (np.array(m["curve"][name]) for name in ("step", key, f"{key}_se"))
                    panel.plot(step, mean, color=colour, marker=marker, ms=4, lw=1.2, label=name)
                    panel.fill_between(step, mean - se, mean + se, color=colour, alpha=0.15, lw=0)
        row[0].axhline(report["weak"]["accuracy"], color=WEAK, lw=1.2, label="weak supervisor")
        row[-1].legend(*row[0].get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(1, 1))
        row[0].set(xlabel="step", ylabel="test accuracy (ground truth)")
        row[1].set(xlabel="step", ylabel="agreement with supervisor, test")
        row[2].set(xlabel="step", ylabel="loss on held-out training labels")
    save(figure, path, f"Bands: ± 1 standard error, of test examples and seeds; of the loss: of seeds alone.{hidden(reports, 'curve')}")


def scaling(found, path):
    """scaling.png: test accuracy against the student's size, a line a supervisor, the ceiling above. found: as report.scaling gives it"""
    names = list(found)[:3]
    figure = Figure(figsize=(4.6 * len(names) + 1.6, 3.8), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names):
        def line(points, **style):
            panel.errorbar(*([point[key] for point in points] for key in ("size", "accuracy", "accuracy_se")), capsize=3, **style)

        line(found[name]["ceiling"], color=CEILING, marker="P", label="strong ceiling")
        for i, (weak, (accuracy, points)) in enumerate(found[name]["supervisors"].items()):
            colour, marker = STYLES[i % len(STYLES)]
            line(points, color=colour, marker=marker, ls="-" if i < len(STYLES) else "--", label=f"students of {weak}")
            panel.axhline(accuracy, color=colour, ls=":", lw=1.2)
        panel.set(xscale="log", xlabel="student's size, parameters", title=f"student: {name}")
        sizes = sorted({point["size"] for point in found[name]["ceiling"]})
        panel.set_xticks(sizes, map(in_words, sizes))
        panel.minorticks_off()
    panels[0].set_ylabel("test accuracy")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    more = f" The first 3 students of {len(found)}." if len(found) > 3 else ""
    seeds = {point["seeds"] for name in names for point in found[name]["ceiling"]}
    seeds = " to ".join(map(str, sorted({min(seeds), max(seeds)})))
    save(figure, path, f"Bars: ± 1 standard error, of test examples and of {seeds} seeds. Dotted: the supervisor itself.{more}")
