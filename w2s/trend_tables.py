"""The tables of report.md over several pairs of models: a ladder of supervisors, scaling."""

from w2s import tables
from w2s.report import on_all_rungs
from w2s.tables import number, of_seeds, share_text, size_text, table


def of_all(reports, rungs, by_size, brief=False):
    """All tables of a report: those of each pair, the ladder, scaling.

    rungs    of report.ladder
    by_size  of report.scaling
    brief    without what the tables of another test file have explained
    """
    parts = [tables.of_pair(report, brief) for report in reports]
    return parts + of_ladder(rungs) + of_scaling(by_size)


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


# -------------------------------------------------------------------------------------- the ladder

def of_ladder(rungs):
    """Of the reports of report.ladder a table: students down, supervisors across."""
    if not rungs:
        return []
    columns = {}
    for i, report in enumerate(rungs):
        title = "{name} ({accuracy:.3f})".format(**report["weak"])
        columns[title] = rung_column(i, report["seeds"])
    title = (f"Ladder, students of {rungs[0]['ceiling']['name']}: test accuracy by supervisor, and "
             "the labels' share [95%]; beside a supervisor's name its own.")
    return ["\n".join([title, "", *table(list(on_all_rungs(rungs).items()), columns)])]


def rung_column(i, seeds):
    """A column of the accuracy at the rung i, which has so many seeds, and of the labels' share."""
    def cell(students):
        student, control = students[i], students[i]["controls"].get("shuffled")
        text = f"{student['accuracy']:.3f}"
        if student["seeds"] != seeds:
            text += f" ({of_seeds(student)})"
        if control:
            text += f", {share_text(control)}"
            if control["seeds"] != student["seeds"]:
                text += f" ({of_seeds(control)})"
        return text
    return cell
