"""Rows -> weak_train, transfer and test: disjoint, balanced, the same on every machine.

    splits.split(train, test, max_train, max_test, seed)     # {name: rows} of the three files

Rows have the form that readers.py gives them. Which side a row is on, and whether it is chosen,
depends on the seed and on its text alone: never on the order of the rows or on how many there are.
"""

import collections
import hashlib
import itertools
import math
import re

from w2s.readers import without_layout
from w2s.records import refuse, uniform


def split(train, test, max_train, max_test, seed, task=""):
    """{name: rows} of the three files. Train rows go by their group, all of one to one side.

    task  its name, for messages
    """
    read, classes = len(train) + len(test), number_of_classes(train + test)
    for flag, most in (("max_train", max_train), ("max_test", max_test)):
        if most < classes:
            refuse(f"--{flag}={most}: {classes} or more is needed, one of each class")
    train, test = by_group(train, test)
    groups = collections.Counter(row["group"] for row in train + test)
    largest = max(groups.values(), default=0)
    print(f"{read} rows, {groups.total()} of use; those that share a text or --group stay "
          f"together: {len(groups)} groups, the largest of {largest}")

    # a dataset that has no test split of its own gives a third of its rows
    names = ["weak_train", "transfer"] if test else ["weak_train", "transfer", "test"]
    splits = {"weak_train": [], "transfer": [], "test": test}
    for row in train:
        side = int(uniform(seed, row["group"]) * len(names))
        splits[names[side]].append(row)

    for name, rows in splits.items():
        most = max_test if name == "test" else max_train
        splits[name] = sample(one_per_question(rows, seed), most, seed, classes)
        few = len(splits[name]) // classes  # of each class
        if few < min(2, most // classes):
            found = collections.Counter(row["label"] for row in rows)
            rarest = min(range(classes), key=found.__getitem__)
            refuse(f"{task}: {few or 'nothing'} of each class is left for {name}, as there are "
                   f"{found[rarest]} of class {rarest}; more rows of all {classes} classes are "
                   "needed, or more groups, which stay together")
    return splits


def number_of_classes(rows):
    """Choices, or labels up to the highest; 2 at the least."""
    highest = max((row["label"] for row in rows), default=0)
    return max([2, highest + 1, *(len(row.get("choices", ())) for row in rows)])


def content(row):
    return row["text"] if "text" in row else "\n".join(sorted(row["choices"]))


def truth(row):
    """The label, or the right choice itself: two rows may show their choices in any order."""
    return without_layout(row["choices"][row["label"]]) if "choices" in row else row["label"]


def short_hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# ---------------------------------------------------------------------------------------- groups

def words_only(text):
    """The text without case, punctuation and layout: what texts of one group share."""
    return re.sub(r"\W+", " ", text.lower()).strip() or without_layout(text)


def by_group(train, test):
    """Gives each row its group and id: rows that share a key, in one step or many, are one group.

    Drops repeated texts, texts with two labels, and train rows of a group of the test split.
    """
    rows = train + test
    for row in rows:
        keys = {words_only(key) for key in row["keys"] if key.strip()}
        row["keys"] = sorted(keys) or [without_layout(content(row))]
    group_of = join([row["keys"] for row in rows])
    for row in rows:
        row["group"] = group_of(row.pop("keys")[0])

    # the test split first: a text that stands in both is a test text
    seen = contradicted(rows)
    test = first_of_each_text(test, seen)
    train = first_of_each_text(train, seen)

    held_out = {row["group"] for row in test}
    train = [row for row in train if row["group"] not in held_out]
    return train, test


def join(key_lists):
    """A function of a key, equal for keys that share a list, or a chain of lists (union-find)."""
    parent = {}

    def root(key):
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]  # halves the way for who comes next
            key = parent[key]
        return key

    for keys in key_lists:
        for key in keys:
            # the least key names the group, whatever the order of the rows
            low, high = sorted((root(keys[0]), root(key)))
            parent[high] = low
    return root


def contradicted(rows):
    """The texts that have two labels."""
    truths = collections.defaultdict(set)
    for row in rows:
        truths[without_layout(content(row))].add(truth(row))
    return {text for text, found in truths.items() if len(found) > 1}


def first_of_each_text(rows, seen):
    """The rows whose text is not among those seen, which it joins. Gives them ids."""
    chosen = []
    for row in rows:
        text = without_layout(content(row))
        if text in seen:
            continue
        seen.add(text)
        if row.get("id") is None:
            row["id"] = short_hash(content(row))
        chosen.append(row)
    return chosen


def attach_phrases(rows):
    """Gives phrases that are part of a longer text a key of that text."""
    by_words = {words_only(row["keys"][0]): row for row in rows}
    for text in sorted(by_words, key=len, reverse=True):
        whole = by_words[text]
        if len(whole["keys"]) > 1:
            continue  # a part itself: its parts are parts of what it is a part of
        words = text.split()
        for start, end in itertools.combinations(range(len(words) + 1), 2):
            part = by_words.get(" ".join(words[start:end]))
            if part and part is not whole and len(part["keys"]) == 1:
                part["keys"].append(text)


# ---------------------------------------------------------------------------------------- choice

def one_per_question(rows, seed):
    """Keeps one of the rows about a question, of the class that is drawn for it if there is one.

    Of several of a class one is drawn, the likelier the more often its stratum is true elsewhere:
    of wrong traits one that other texts show. What is never true could not be balanced.
    """
    if not any("question" in row for row in rows):
        return rows
    counts = collections.Counter((row.get("stratum"), row["label"]) for row in rows)

    def waiting_time(row):
        """The least of waiting times at different rates is a weighted draw."""
        rate = 1
        if "stratum" in row:
            odds = counts[row["stratum"], 1] / max(counts[row["stratum"], 0], 1)
            rate = odds**2 or 1e-9  # squared it leaves the most examples of ethics_virtue
        return -math.log(1 - uniform(seed, "question", content(row))) / rate

    chosen = {}
    for row in sorted(rows, key=waiting_time):
        question = row["question"]
        wanted = int(uniform(seed, "wanted", question) >= 0.5)
        if question not in chosen:
            chosen[question] = row
        elif chosen[question]["label"] != wanted and row["label"] == wanted:
            chosen[question] = row
    return [row for row in rows if chosen[row["question"]] is row]


def sample(rows, most, seed, classes=2):
    """Chooses at most that many rows, as many of each class within each stratum.

    Which, and in what order, depends on the seed and the texts alone.
    """
    strata = collections.defaultdict(list)
    for row in shuffled(rows, seed, "order"):
        strata[row.get("stratum")].append(row)

    # sets of a row of each class, of all strata, mixed in proportion to the size of each
    sets = []
    for stratum in strata.values():
        by_class = [[] for _ in range(classes)]
        for row in stratum:
            by_class[row["label"]].append(row)
        found = list(zip(*map(take_turns, by_class)))  # as many as the rarest class has
        for k, one_of_each in enumerate(found):
            sets.append(((k + 0.5) / len(found), one_of_each))
    sets.sort(key=lambda pair: pair[0])
    chosen = []
    for _, one_of_each in sets[:most // classes]:
        chosen += one_of_each

    # another order than that of choice, in which the rarer class reaches further down
    chosen = shuffled(chosen, seed, "place")
    sizes = collections.Counter(row.get("group") for row in chosen)
    return [as_written(row, sizes) for row in chosen]


def shuffled(rows, *key):
    """The rows in an order that depends on the key and their texts alone."""
    def place(row):
        return uniform(*key, content(row))

    return sorted(rows, key=place)


def take_turns(rows):
    """One row of each kind after the other, until one of them has no more."""
    kinds = collections.defaultdict(list)
    for row in rows:
        kinds[row.get("kind")].append(row)
    turns = zip(*kinds.values())
    return [*itertools.chain.from_iterable(turns)]


def as_written(row, sizes):
    """The row as a file holds it, with its group if that has several rows there."""
    line = {key: row[key] for key in ("id", "text", "choices", "label") if key in row}
    if row.get("group") and sizes[row["group"]] > 1:  # for who cuts a split again
        line["group"] = short_hash(row["group"])
    return line
