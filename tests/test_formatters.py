"""The formatters of the public tasks: what they show is right, tidy, and no hint at the label."""

import collections
import functools
import math
import re

import pytest
from task_rows import make

from w2s import splits, tasks
from w2s.questions import Question
from w2s.records import uniform

CHOICES = ("anthropic_hh", "ethics_utilitarianism", "piqa")


def formatted(name, rows, form="binary"):
    """The rows of a task as its formatter makes them, by the draw of seed 0."""
    def draw(about):
        return uniform(0, name, about)

    made = [tasks.TASKS[name]["format"](row, draw, form) for row in rows]
    return [row for row in made if row]


def format_one(name, row, u=0.8):
    """One row, where every draw is u."""
    def draw(about):
        return u

    return tasks.TASKS[name]["format"](row, draw)


def groups_of(rows):
    grouped, _ = splits.by_group(rows, [])
    return [row["group"] for row in grouped]


# ------------------------------------------------------------------- what does not tell the label

def bag_of_words(train, test):
    """Test accuracy of naive Bayes on [(text, label)]."""
    counts = [collections.Counter(), collections.Counter()]
    for text, label in train:
        counts[label].update(set(text.split()))
    weight = collections.Counter()
    for word in counts[0] | counts[1]:
        weight[word] = math.log((counts[1][word] + 1) / (counts[0][word] + 1))

    right = 0
    for text, label in test:
        score = sum(weight[word] for word in set(text.split()))
        right += (score > 0) == label
    return right / len(test)


@functools.cache
def balanced(name):
    """[(what is shown as the answer, or as the second choice, its label)], half of each class."""
    made, _ = splits.by_group(formatted(name, make(name, 6000)), [])
    kept = splits.one_per_question(made, 0)
    chosen = {row["id"] for row in splits.sample(kept, 6000, 0)}
    rows = [row for row in made if row["id"] in chosen]
    assert len(rows) > 1000 and 2 * sum(row["label"] for row in rows) == len(rows)
    return [(row.get("candidate") or row["choices"][1], row["label"]) for row in rows]


SHOWN = [name for name in tasks.TASKS
         if {"candidate", "choices"} & formatted(name, make(name, 20))[0].keys()]


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_as_the_answer_does_not_tell_whether_it_is_right(name):
    shown = balanced(name)
    half = len(shown) // 2
    accuracy = bag_of_words(shown[:half], shown[half:])
    assert abs(accuracy - 0.5) < 4 * 0.5 / half**0.5, "the answer shows"

    lengths = [0, 0]
    for text, label in shown:
        lengths[label] += len(text)
    assert abs(lengths[0] / lengths[1] - 1) < 0.06


@pytest.mark.parametrize("name", SHOWN)
def test_no_form_of_what_is_shown_tells_whether_it_is_right(name):
    for form in (r"[A-Z]", r"\.$", r"^\s|\s$", r"Sent \d", r" ,", r"\["):
        labels = [label for text, label in balanced(name) if re.search(form, text)]
        if labels:
            error = 0.5 / len(labels) ** 0.5
            assert abs(sum(labels) / len(labels) - 0.5) < 4 * error, form


def test_an_option_that_stands_in_many_rows_would_give_the_label_away():
    """Without its rule cosmos_qa fails the test above: this is what the test can find."""
    def draw(about):
        return uniform(0, about)

    rows = make("cosmos_qa", 6000)
    shown = []
    for row in rows:
        options = [row[f"answer{n}"] for n in range(4)]
        right = row[f"answer{row['label']}"]
        made = Question(row["context"], row["question"], right, options, []).binary(draw)
        shown.append((made["candidate"], made["label"]))
    assert bag_of_words(shown[:3000], shown[3000:]) > 0.53

    candidates = [row["candidate"] for row in formatted("cosmos_qa", rows)]
    assert not any("None of the above" in candidate for candidate in candidates)
    candidates = [row["candidate"] for row in formatted("quail", make("quail", 3000))]
    assert not any("not enough" in candidate for candidate in candidates)


@pytest.mark.parametrize("name, number", [
    ("sciq", 4), ("dream", 3), ("cosmos_qa", 4), ("hellaswag", 4), ("openbookqa", 4), ("quail", 4),
    ("social_i_qa", 3)])
def test_in_their_native_form_the_right_one_is_anywhere(name, number):
    raw = make(name, 1200)
    made = formatted(name, raw, "choices")
    assert len(made) > 600 and {len(row["choices"]) for row in made} == {number}
    places = collections.Counter(row["label"] for row in made)
    for place in range(number):
        assert abs(places[place] / len(made) - 1 / number) < 0.08
    assert all(len(set(row["choices"])) == number for row in made)


@pytest.mark.parametrize("name", CHOICES)
def test_choices_come_in_either_order(name):
    made = formatted(name, make(name, 1000))
    assert 400 < sum(row["label"] for row in made) < 600
    assert all(len(row["choices"]) == 2 for row in made)


# ------------------------------------------------------------------------------- which one is right

ABCD = {"text": ["w1", "w2", "right", "w3"], "label": ["A", "B", "C", "D"]}
ONE_RIGHT = [
    ("cosmos_qa", {"context": "c", "question": "q", "label": 2, "answer0": "w1", "answer1": "w2",
                   "answer2": "right", "answer3": "w3"}),
    ("dream", {"dialogue": ["c"], "question": "q", "answer": "right",
               "choice": ["w1", "right", "w2"]}),
    ("hellaswag", {"ctx": "c", "endings": ["w1", "w2", "right", "w3"], "label": "2",
                   "source_id": "s"}),
    ("openbookqa", {"question_stem": "q", "choices": ABCD, "answerKey": "C"}),
    ("quail", {"context": "c", "question": "q", "question_type": "t", "answers": ABCD["text"],
               "correct_answer_id": 2}),
    ("quartz", {"para": "c", "para_id": "p", "question": "q", "choices": ABCD, "answerKey": "C"}),
    ("sciq", {"support": "c", "question": "q", "correct_answer": "right", "distractor1": "w1",
              "distractor2": "w2", "distractor3": "w3"}),
    ("social_i_qa", {"context": "c", "question": "q", "answerA": "w1", "answerB": "right",
                     "answerC": "w2", "label": "2"}),
    ("piqa", {"goal": "g", "sol1": "right", "sol2": "w1", "label": 0}),
    ("piqa", {"goal": "g", "sol1": "w1", "sol2": "right", "label": 1}),
    ("ethics_utilitarianism", {"baseline": "right", "less_pleasant": "w1"}),
    ("anthropic_hh", {"chosen": "\n\nHuman: q\n\nAssistant: right",
                      "rejected": "\n\nHuman: q\n\nAssistant: w1"}),
]


@pytest.mark.parametrize("name, row", ONE_RIGHT)
def test_label_1_is_what_the_dataset_calls_right(name, row):
    for u, label in ((0.2, 0), (0.8, 1)):
        made = format_one(name, row, u)
        assert made["label"] == label
        if "choices" in made:
            assert "right" in made["choices"][label]
            assert "right" not in made["choices"][1 - label]
        else:
            assert ("right" in made["candidate"]) == label == ("right" in made["text"])


@pytest.mark.parametrize("name, row", ONE_RIGHT)
def test_of_several_choices_the_label_is_the_place_of_the_right_one(name, row):
    made, = formatted(name, [row], "choices")
    shown = made["choices"]
    assert "right" in shown[made["label"]]
    assert sum("right" in choice for choice in shown) == 1 and len(shown) > 1


def test_rows_without_content_are_of_no_use():
    assert format_one("twitter_sentiment", {"text": "@pal http://t.co/x", "label": 1}) is None
    silent = {"chosen": "\n\nHuman: q\n\nAssistant: ", "rejected": "\n\nHuman: q\n\nAssistant: No."}
    assert format_one("anthropic_hh", silent) is None


# ----------------------------------------------------------------------------------------- families

@pytest.mark.parametrize("one, other, related", [
    ("I water the plants daily but I stopped because he moved.",
     "I water the plants daily but I stopped because he sang.", True),
    ("I water the plants daily  but I stopped Since he moved.",
     "I water the plants daily but I STOPPED since he sang.", True),
    ("I should get a raise as I work.", "I should get a raise as he sang.", True),
    ("I should get a raise for my work.", "I should get a raise for my song.", True),
    ("I am justified in expecting that my house is warm.",
     "I am justified in expecting that my house is loud.", True),
    ("I was so tired because I ran.", "I was so glad because I won.", False),
])
def test_families_of_ethics_justice(one, other, related):
    rows = [format_one("ethics_justice", {"scenario": text, "label": 1}) for text in (one, other)]
    first, second = groups_of(rows)
    assert (first == second) == related


def test_families_of_ethics_utilitarianism_share_a_first_sentence():
    pairs = [
        ("I went to the park. It was warm.", "I lost my keys at home! Twice."),
        ("I went to the park. I sang.", "I went to the park. I fell."),
        ("I lost my keys at home! Once.", "It rained. All day."),
        ("It rained. An hour.", "We had a long walk, it hailed."),
    ]
    rows = [format_one("ethics_utilitarianism", {"baseline": better, "less_pleasant": worse})
            for better, worse in pairs]
    groups = groups_of(rows)
    assert groups[0] == groups[1] == groups[2] != groups[3]  # "It rained." is no family


# --------------------------------------------------------------------------------------- tidy texts

def test_what_is_shown_is_tidy():
    row = {"support": " Salt &amp; water.\n", "question": " What &lt;is&gt; it? ",
           "correct_answer": "NaCl ", "distractor1": "R&B", "distractor2": "b", "distractor3": "c"}
    assert format_one("sciq", row)["text"] == (
        'Salt & water.\n\nQuestion: What <is> it?\nIs the answer "nacl"?')

    row = {"text": "me &amp; you &#39;n &quot;she&quot; at x.y?a=1&copy=2 &nope; ", "label": 1}
    assert format_one("twitter_sentiment", row)["text"] == (
        "Tweet: me & you 'n \"she\" at x.y?a=1&copy=2 &nope;\nSentiment:")

    row = {"goal": "open it ", "sol1": "turn it  ", "sol2": " hit it", "label": 0}
    assert format_one("piqa", row)["choices"][1] == (
        "Goal: open it\nSolution: turn it\nDoes it work?")

    row = {"premise": "He ran. ", "hypothesis": " He moved. ", "label": 0}
    assert format_one("anli_r2", row)["text"] == "He ran.\n\nHe moved.\nDoes this follow?"


def test_parts_of_a_wikihow_article_are_sentences():
    context = ("[header] How to can pears [title] Wash the jars. [step] Use soap. "
               "[title] Is it dry? [step]")
    endings = ["[title] Boil \"all\" pears [step] Wait.", "a", "b", "c"]
    row = {"ctx": context, "endings": endings, "source_id": "s", "label": "0"}
    made = format_one("hellaswag", row)
    assert made["text"].startswith("How to can pears. Wash the jars. Use soap. Is it dry?\n\n")
    assert made["candidate"] == 'Boil "all" pears. Wait.'


def test_marks_of_multirc_are_removed():
    row = {"paragraph": "<b>Sent 1: </b>Birds sing.<br><b>Sent 2: </b>They fly.<br>", "label": 1,
           "question": "What of Sent 2: do they?",
           "answer": "Birds ,Sent 2: They  fly (Sent 2), all ."}
    made = format_one("multirc", row)
    assert made["candidate"] == "Birds, They fly, all."
    assert made["text"].startswith("Birds sing. They fly.\n\nQuestion: What of do they?")
