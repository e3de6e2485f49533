"""Prompting: the label words' probabilities after a text, the shots before it, and the prior, what
the model says of every text, taken out."""

import json

import pytest
import torch
import transformers
from conftest import read, rows, write

from w2s import classifier, prompt
import prompt_strong

WORDS = [" negative", " positive"]


@pytest.fixture
def files(tmp_path):
    made = [{"id": f"r{i}", **row} for i, row in enumerate(rows(60))]
    truth = write(tmp_path / "transfer.jsonl", made[:40])
    test = write(tmp_path / "test.jsonl", made[40:])
    weak = write(
        tmp_path / "labels.jsonl",
        [
            {"id": row["id"], "text": row["text"], "probs": [0.9, 0.1]}
            for row in reversed(made[:40])
        ],
    )
    task = tmp_path / "task.json"
    task.write_text(json.dumps({"prompt": "{text}\nSentiment:", "label_words": WORDS}))

    def ask(model, labels=truth, name="out", **flags):
        prompt_strong.main(
            str(model), str(labels), str(test), str(task), str(tmp_path / name), **flags
        )
        return ([row["probs"][1] for row in read(tmp_path / name / "predictions.jsonl")],
                json.loads((tmp_path / name / "run.json").read_text())["metrics"])

    ask.truth, ask.weak, ask.test, ask.task = truth, weak, read(test), task
    return ask


def probability(model, tokenizer, text):
    """Of the second label word, from the whole language model, without the classifier."""
    ids = torch.tensor([tokenizer(text).input_ids])
    first = [
        tokenizer("It is:" + word).input_ids[len(tokenizer("It is:").input_ids)] for word in WORDS
    ]
    with torch.no_grad():
        return model(ids).logits[0, -1, first].softmax(0)[1].item()


@pytest.mark.parametrize("family, shots", [("gpt2", 0), ("gpt2", 1), ("llama", 0), ("llama", 3)])
def test_the_language_model_s_own_probabilities(files, tiny, family, shots):
    found, metrics = files(tiny[family], shots=shots, calibrate=0)
    truth = {row["id"]: row for row in read(files.truth)}
    context = "".join(
        truth[i]["text"] + WORDS[truth[i]["label"]] + "\n\n" for i in metrics["shots"]
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny[family]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny[family])
    assert len(metrics["shots"]) == shots
    assert found == [
        pytest.approx(probability(model, tokenizer, context + row["text"]), abs=2e-5)
        for row in files.test
    ]


def test_the_prior_is_divided_out(files, tiny):
    raw, _ = files(tiny["llama"], calibrate=0)
    unlabelled, _ = files(tiny["llama"], calibrate=40, name="calibrated")
    prior = json.loads((files.truth.parent / "calibrated" / "run.json").read_text())["metrics"][
        "prior"
    ][1]
    model, tokenizer = classifier.load(str(tiny["llama"]), WORDS)
    assert prior == pytest.approx(
        classifier.predict(model, tokenizer, [row["text"] for row in read(files.truth)])[:, 1]
        .mean()
        .item(),
        abs=1e-6,
    )
    odds = [p / (1 - p) * (1 - prior) / prior for p in raw]
    assert unlabelled == [pytest.approx(o / (1 + o), abs=1e-5) for o in odds]


def test_the_same_shots_whoever_labelled_them(files, tiny):
    (by_truth, truth), (by_weak, weak) = (
        files(tiny["llama"], labels, name, shots=5, seed=3)
        for labels, name in ((files.truth, "truth"), (files.weak, "weak"))
    )
    assert truth["shots"] == weak["shots"] and by_truth != by_weak
    assert files(tiny["llama"], name="other", shots=5, seed=4)[1]["shots"] != truth["shots"]


def test_long_texts_lose_their_beginning_not_the_shots(files, tiny):
    _, tokenizer = classifier.load(str(tiny["llama"]), WORDS)
    text = "the film is a story of two men and one long road at night"
    assert prompt.shorten(tokenizer, text, 100) == text
    assert prompt.shorten(tokenizer, text, 3).strip() == "road at night"
    whole, short = (
        files(tiny["llama"], name=name, shots=2, calibrate=0, max_tokens=most)[0]
        for name, most in (("whole", 512), ("short", 9))
    )
    lengths = [len(tokenizer(row["text"]).input_ids) for row in files.test]
    assert [a == pytest.approx(b, abs=1e-5) for a, b in zip(whole, short)] == [
        n <= 9 for n in lengths
    ]
    assert min(lengths) <= 9 < max(lengths)


@pytest.mark.parametrize("family, flags, complaint", [
    ("bert", {}, "a causal language model is needed"),
    ("llama", {"shots": 40}, "has 40 examples, and one more is needed"),
    ("gpt2", {"shots": 6}, "leave no room for a text in the 64 tokens"),
    ("llama", {"shots": -1}, "--shots=-1: 0 or more is needed"),
])
def test_refused(files, tiny, family, flags, complaint):
    with pytest.raises(SystemExit, match=complaint):
        files(tiny[family], **flags)


def test_a_tie_cannot_be_shown_as_either_class(files, tiny):
    tied = [{**row, "probs": [0.5, 0.5]} for row in read(files.weak)]
    labels = write(files.weak.with_name("tied.jsonl"), tied)
    with pytest.raises(SystemExit, match="the soft label of r[0-9]+ is a tie.*another --seed"):
        files(tiny["llama"], labels, shots=2)


def test_a_task_without_label_words_is_refused(files, tiny):
    files.task.write_text("{}")
    with pytest.raises(SystemExit, match="label_words are needed"):
        files(tiny["llama"])
