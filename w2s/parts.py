"""Parts of a training file that have no line in common, for supervisors that label together."""

import collections
import re

from w2s.records import refuse


def rows_of_part(path, rows, part):
    """The rows of one of several parts that have none in common, in their order.

    path  the file of the rows, for messages
    part  "2/3": the second of three

    The lines of each class are dealt out in turn, so that all parts have as many of each, whatever
    the order of the file; rows that share a group follow the first of them.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", part)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        refuse(f"--part={part}: such as 1/3 is needed, the first of three parts")

    dealt = collections.Counter()  # groups of each class so far
    part_of = {}                   # {group: its part, from 1}
    found = []
    for row in rows:
        group = "id", row["id"]
        if row.get("group") is not None:
            group = "group", row["group"]
        if group not in part_of:
            part_of[group] = dealt[row["label"]] % count + 1
            dealt[row["label"]] += 1
        if part_of[group] == number:
            found.append(row)
    if {row["label"] for row in found} != {row["label"] for row in rows}:
        refuse(f"{path}: part {part} of it does not have examples of all classes")
    return found
