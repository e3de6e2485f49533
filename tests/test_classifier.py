"""The classifier on GPT-2, Llama and BERT shapes: pooling, heads from label words, training."""

import pytest
import torch
import transformers
from conftest import rows

from w2s import classifier, training
from losses import xent

FAMILIES = ("gpt2", "llama", "bert")
WORDS = [" negative", " positive"]
TEXTS = [row["text"] for row in rows(24)] + [
    "!",
    "fine!!!",
    "dull <|endoftext|>",
    "a <|endoftext|><|endoftext|>",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_prediction_does_not_depend_on_the_batch(tiny, family):
    model, tokenizer = classifier.load(tiny[family], WORDS)
    together = classifier.predict(model, tokenizer, TEXTS, batch_size=28)
    alone = torch.cat([classifier.predict(model, tokenizer, [text]) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-6)
    assert together.std(0).min() > 1e-5  # they are not all the same, either


@pytest.mark.parametrize("family", ("gpt2", "llama"))
def test_head_from_label_words_gives_the_language_models_own_answer(tiny, family):
    model, tokenizer = classifier.load(tiny[family], WORDS)
    probs = classifier.predict(model, tokenizer, [text + "\nSentiment:" for text in TEXTS])
    language_model = transformers.AutoModelForCausalLM.from_pretrained(tiny[family])
    words = [tokenizer(word).input_ids[0] for word in WORDS]
    for text, p in zip(TEXTS, probs):
        ids = tokenizer(text + "\nSentiment:", return_tensors="pt").input_ids
        expected = language_model(ids).logits[0, -1, words].softmax(0)
        assert torch.allclose(p, expected, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_model_is_the_same_model(tiny, family, tmp_path):
    model, tokenizer = classifier.load(tiny[family], WORDS, max_tokens=20)
    targets = torch.eye(2)[[0, 1] * 14]
    classifier.finetune(model, tokenizer, TEXTS, targets, xent, epochs=2, batch_size=8, lr=1e-2)
    before = classifier.predict(model, tokenizer, TEXTS)
    classifier.save(model, tokenizer, tmp_path)
    again, tokenizer = classifier.load(tmp_path, head="keep")
    assert tokenizer.model_max_length == 20
    assert torch.equal(classifier.predict(again, tokenizer, TEXTS), before)
    # any tool loads it
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    ids = tokenizer(TEXTS[0], return_tensors="pt").input_ids
    assert torch.allclose(plain(ids).logits.softmax(1)[0], before[0], atol=1e-6)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize("family", FAMILIES)
def test_learns(tiny, family):
    made = rows(200)
    model, tokenizer = classifier.load(tiny[family], WORDS, seed=3)
    texts, labels = [row["text"] for row in made], torch.tensor([row["label"] for row in made])
    curve = classifier.finetune(
        model,
        tokenizer,
        texts[:150],
        torch.eye(2)[labels[:150]],
        xent,
        epochs=8,
        batch_size=16,
        lr=5e-3,
    )
    assert (
        classifier.predict(model, tokenizer, texts[150:]).argmax(1) == labels[150:]
    ).float().mean() > 0.9
    assert [point["step"] for point in curve] == list(range(1, 8 * 10 + 1))
    rates = [point["lr"] for point in curve]
    # up for 20 steps, then down
    assert rates.index(max(rates)) == 19
    assert max(rates) == pytest.approx(5e-3)
    assert rates[-1] < 1e-4


def test_the_loss_sees_the_whole_batch_and_how_far_training_has_come(tiny):
    seen = []

    def loss(logits, targets, step_frac):
        seen.append((len(logits), len(targets), step_frac))
        return logits.square().mean()

    model, tokenizer = classifier.load(tiny["gpt2"], WORDS)
    classifier.finetune(
        model, tokenizer, TEXTS, torch.eye(2)[[0, 1] * 14], loss, epochs=2, batch_size=14
    )
    assert seen == [(14, 14, 0.0), (14, 14, 0.25), (14, 14, 0.5), (14, 14, 0.75)]
    assert (
        classifier.finetune(model, tokenizer, TEXTS, torch.eye(2)[[0, 1] * 14], loss, epochs=0)
        == []
    )


def test_a_classifier_of_other_classes_gets_a_new_head(tiny, tmp_path):
    transformers.AutoModelForSequenceClassification.from_pretrained(
        tiny["bert"], num_labels=3
    ).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny["bert"]).save_pretrained(tmp_path)
    model, tokenizer = classifier.load(tmp_path, WORDS)
    assert classifier.predict(model, tokenizer, TEXTS).shape == (28, 2)
    kept, _ = classifier.load(tmp_path, head="keep")
    assert classifier.predict(kept, tokenizer, TEXTS).shape == (28, 3)


def test_long_texts_lose_their_beginning(tiny):
    model, tokenizer = classifier.load(tiny["gpt2"], WORDS, max_tokens=8)
    long = "dull " * 30 + "the film is fine"
    assert (
        classifier.encode(tokenizer, [long])[0] == tokenizer(long, truncation=False).input_ids[-8:]
    )


def test_no_dropout(tiny):
    model, tokenizer = classifier.load(tiny["gpt2"], WORDS)
    model.train()
    ids = classifier.encode(tokenizer, TEXTS[:4])
    assert torch.equal(*(classifier.forward(model, ids, tokenizer.pad_token_id) for _ in range(2)))


def test_batches_hold_every_example_once_in_similar_lengths():
    lengths = torch.randint(1, 100, (1000,), generator=torch.Generator().manual_seed(0))
    both = list(training.shuffled_batches(lengths, 32, epochs=2, seed=0))
    first, second = both[:32], both[32:]
    for cut in (first, second, classifier.sorted_batches(lengths, 32)):
        assert torch.equal(torch.cat(cut).sort().values, torch.arange(1000))
        assert len(cut) == 32 and {len(batch) for batch in cut} == {31, 32}
        padded = sum(len(batch) * lengths[batch].max() for batch in cut)
        assert padded < 1.1 * lengths.sum()
    assert not torch.equal(torch.cat(first), torch.cat(second))  # another epoch, another order


@pytest.mark.parametrize("words, head", [(None, "words"), (WORDS, "random")])
def test_random_head_is_small_and_seeded(tiny, words, head):
    heads = [
        classifier.load(tiny["llama"], words, head, seed)[0].score.weight for seed in (0, 0, 1)
    ]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert 0.01 < heads[0].std() < 0.03


def test_a_head_that_was_never_trained_is_refused(tiny):
    with pytest.raises(ValueError, match="no trained head of two or more classes"):
        classifier.load(tiny["gpt2"], head="keep")
    with pytest.raises(ValueError, match="there is no head 'word'"):
        classifier.load(tiny["gpt2"], WORDS, head="word")
    with pytest.raises(ValueError, match="do not begin with different tokens"):
        classifier.load(tiny["gpt2"], [" negative", " negative one"], head="words")


PAIRS = [[TEXTS[i], TEXTS[-1 - i]] for i in range(14)]


@pytest.mark.parametrize("family", FAMILIES)
def test_of_two_choices_each_has_its_score(tiny, family, tmp_path):
    model, tokenizer = classifier.load(tiny[family], WORDS, choices=True)
    probs = classifier.predict(model, tokenizer, PAIRS)
    assert probs.shape == (14, 2)
    assert torch.allclose(probs.sum(1), torch.ones(14))
    assert probs.std(0).min() > 1e-4
    turned = classifier.predict(model, tokenizer, [pair[::-1] for pair in PAIRS], batch_size=3)
    assert torch.allclose(turned.flip(1), probs, atol=1e-6)
    classifier.finetune(
        model,
        tokenizer,
        PAIRS,
        torch.eye(2)[[0, 1] * 7],
        xent,
        epochs=2,
        batch_size=7,
        lr=1e-2,
        microbatch=3,
    )
    after = classifier.predict(model, tokenizer, PAIRS)
    assert not torch.allclose(after, probs, atol=1e-3)
    classifier.save(model, tokenizer, tmp_path)
    again, tokenizer = classifier.load(tmp_path, head="keep", choices=True)
    assert torch.equal(classifier.predict(again, tokenizer, PAIRS), after)
    with pytest.raises(ValueError, match="no trained head of two or more classes"):
        classifier.load(tmp_path, head="keep")


def test_the_score_of_a_choice_starts_as_the_second_label_word_against_the_first(tiny):
    model, tokenizer = classifier.load(tiny["llama"], WORDS, choices=True)
    words, _ = classifier.load(tiny["llama"], WORDS)
    assert torch.equal(model.score.weight[0], words.score.weight[1] - words.score.weight[0])


def test_bf16_halves_the_weights_and_hardly_moves_the_predictions(tiny):
    for kind in ("llama", "bert"):
        plain, tokenizer = classifier.load(tiny[kind], [" fine", " dull"])
        half, _ = classifier.load(tiny[kind], [" fine", " dull"], dtype="bf16")
        wide, narrow = (sum(weight.nbytes for weight in model.parameters())
                        for model in (plain, half))
        assert narrow < 0.55 * wide and half.dtype == torch.bfloat16
        full, rounded = (classifier.predict(model, tokenizer, TEXTS) for model in (plain, half))
        assert 0 < (full - rounded).abs().max() < 0.01


def test_weights_are_float32_or_bf16(tiny):
    with pytest.raises(ValueError, match="--dtype=fp16: float32 or bf16 is needed"):
        classifier.load(tiny["bert"], dtype="fp16")
