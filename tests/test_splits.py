"""What decides a split, on rows of a few words: groups, one row a question, balance."""

import collections

from w2s import splits


# ----------------------------------------------------------------------------------------- groups

def choice(label, *choices):
    return {"choices": list(choices), "label": label, "keys": ["k"]}


def test_pairs_that_contradict_each_other_are_left_out():
    rows = [choice(0, "a", "b"), choice(0, "b", "a"), choice(1, "c", "d"), choice(0, "d", "c")]
    kept, _ = splits.by_group(rows, [])
    assert [row["choices"] for row in kept] == [["c", "d"]]  # d is right in both of its rows

    kept, _ = splits.by_group([choice(0, "a  x", "b"), choice(0, "a x", "b")], [])
    assert len(kept) == 1  # they agree


def text(words, *keys):
    return {"text": words, "label": 0, "keys": [*keys]}


def test_groups_are_joined_over_any_shared_key_and_kept_out_of_the_test_split():
    train = [text("1", "a", "p"), text("2", "b", "p"), text("3", "b", "q"), text("4", "c", ""),
             text("5", "d", "t")]
    train, test = splits.by_group(train, [text("6", "e", "t")])
    groups = {row["text"]: row["group"] for row in train}
    assert groups["1"] == groups["2"] == groups["3"] != groups["4"]
    assert set(groups) == {"1", "2", "3", "4"}  # 5 shares its passage with a test row
    assert len(test) == 1


def test_phrases_of_a_sentence_stay_with_it():
    warm, dull = ["a warm and funny film", "warm and funny", "funny"], ["a dull film", "dull"]
    rows = [text(words, words) for words in warm + dull]
    splits.attach_phrases(rows)
    kept, _ = splits.by_group(rows, [])
    groups = [row["group"] for row in kept]
    assert groups == [groups[0]] * 3 + [groups[3]] * 2
    assert groups[0] != groups[3]


# ------------------------------------------------------------------------------- one row a question

def test_of_several_rows_about_one_question_one_is_kept():
    rows = []
    for question in range(400):
        for i in range(5):
            rows.append({"text": f"{question} {i}", "question": f"q{question}",
                         "label": int(i == 0)})
    kept = splits.one_per_question(rows, 0)
    # a fifth of the rows are right, half of those kept
    assert len(kept) == 400 and 160 < sum(row["label"] for row in kept) < 240


def test_a_wrong_trait_is_one_that_other_texts_have():
    """Of three wrong traits two are never true: what shows one of them cannot be balanced."""
    rows = []
    for n in range(600):
        true = ("kind", "brave")[n % 2]
        for trait in ("brave", "kind", "odd", "rare"):
            rows.append({"id": f"{n} {trait}", "text": f"text {n} {trait}", "question": f"q{n}",
                         "stratum": trait, "label": int(trait == true)})
    kept = splits.one_per_question(rows, 0)
    assert {row["stratum"] for row in kept} == {"kind", "brave"}
    assert len(splits.sample(kept, 600, 0)) > 500


# ---------------------------------------------------------------------------------------- balance

def rows_of(label, column, value, n):
    """n rows of a class that have this value in a column; ids begin with both."""
    ids = [f"{label}.{value}.{i}" for i in range(n)]
    return [{"id": name, "text": name, "label": label, column: value} for name in ids]


def chosen(rows, most):
    """{"label.value": rows of it in a sample}"""
    sample = splits.sample(rows, most, 0)
    return collections.Counter(row["id"].rsplit(".", 1)[0] for row in sample)


def test_kinds_take_equal_parts_at_every_size():
    rows = [*rows_of(1, "kind", "entailed", 90),
            *rows_of(0, "kind", "neutral", 80),
            *rows_of(0, "kind", "contradicted", 40)]
    assert chosen(rows, 1000) == {"0.neutral": 40, "0.contradicted": 40, "1.entailed": 80}
    assert chosen(rows, 40) == {"0.neutral": 10, "0.contradicted": 10, "1.entailed": 20}


def test_strata_are_balanced_at_every_size():
    rows = [*rows_of(0, "stratum", "a", 50), *rows_of(1, "stratum", "a", 9),
            *rows_of(0, "stratum", "b", 20), *rows_of(1, "stratum", "b", 40)]
    for most, size in ((1000, 58), (20, 20)):
        found = chosen(rows, most)
        assert found.total() == size
        assert found["0.a"] == found["1.a"] and found["0.b"] == found["1.b"]
