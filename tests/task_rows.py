"""Rows in the exact schema of each public task, made of random words.

    make("sciq", 100)     # a hundred of them

Whether an answer is right cannot be known from them. A maker of ROWS is given

    i        the number of the row
    shared   a text that three rows have in common
    phrase   phrase(low, high): a new text of so many words
    draw     a random.Random

and its keys stand in the order in which they are drawn.
"""

import itertools
import random

BEGINNINGS = "ba de fi go lu mi no pe ra su ti vo".split()
ENDINGS = "bel dor fan gim lor mun nat pil ros tev".split()
WORDS = ["".join(parts) for parts in itertools.product(BEGINNINGS, ENDINGS)]


def make(task, n, seed=0):
    """n rows, others for every seed. Groups (passages, dialogues...) hold about three rows each."""
    draw = random.Random(f"{task}{seed}")

    def phrase(low=3, high=7):
        text = " ".join(draw.choices(WORDS, k=draw.randint(low, high)))
        return text.capitalize() if draw.random() < 0.2 else text

    shared = [phrase(8, 15) for _ in range(n // 3 + 1)]
    make_row = ROWS[task]
    return [make_row(i, shared[i // 3], phrase, draw) for i in range(n)]


# ------------------------------------------------------------------------------- parts of rows

def four(phrase):
    return [phrase(1, 3) for _ in range(4)]


def letters(options):
    return {"text": options, "label": list("ABCDE")[:len(options)]}


def some_fixed(options, string, draw):
    """Four options of which the last is, in half of the rows, a string that many rows have."""
    return options[:3] + [string] if draw.random() < 0.5 else options


# ----------------------------------------------------------------------------------- the tasks

def amazon_polarity(i, shared, phrase, draw):
    return {"label": draw.randrange(2), "title": phrase(1, 3), "content": phrase(8, 20)}


def anli_r2(i, shared, phrase, draw):
    return {
        "uid": str(i),
        "premise": shared,
        "hypothesis": f"{phrase()}.",
        "label": draw.choice([0, 1, 1, 2]),
        "reason": phrase(),
    }


def anthropic_hh(i, shared, phrase, draw):
    turn = f"\n\nAssistant: a reply\n\nHuman: {phrase()} ?"
    earlier = f"\n\nHuman: {shared} ?" + turn * draw.randint(0, 1)
    return {
        "chosen": f"{earlier}\n\nAssistant: {phrase()}.",
        "rejected": f"{earlier}\n\nAssistant: {phrase()}.",
    }


def boolq(i, shared, phrase, draw):
    return {
        "question": f"is {phrase()}",
        "answer": draw.random() < 0.62,
        "passage": f"{shared} -- {shared}",
    }


def cola(i, shared, phrase, draw):
    return {"sentence": f"{phrase()}.", "label": int(draw.random() < 0.7), "idx": i}


def cosmos_qa(i, shared, phrase, draw):
    options = some_fixed(four(phrase), "None of the above choices .", draw)
    return {
        "id": f"{i}##row",
        "context": shared,
        "question": f"{phrase()} ?",
        **{f"answer{k}": option for k, option in enumerate(options)},
        "label": draw.choice([0, 1, 2] * 3 + [3]),
    }


def dream(i, shared, phrase, draw):
    options = four(phrase)[:3]
    return {
        "id": i,
        "dialogue_id": f"9-{i // 3}",
        "dialogue": [f"M: {shared}", f"W: {shared[::-1]}"],
        "question": f"{phrase()} ?",
        "choice": options,
        "answer": draw.choice(options),
    }


def ethics_deontology(i, shared, phrase, draw):
    return {
        "label": draw.randrange(2),
        "scenario": f"{shared}?",
        "excuse": f"No because {phrase()}.",
    }


def ethics_justice(i, shared, phrase, draw):
    return {"label": draw.randrange(2), "scenario": f"{shared} because {phrase()}."}


def ethics_utilitarianism(i, shared, phrase, draw):
    return {"baseline": f"{shared}. {phrase()}.", "less_pleasant": f"{shared}. {phrase()}."}


def ethics_virtue(i, shared, phrase, draw):
    # some traits are true more often than others
    trait = draw.randrange(8)
    label = int(draw.random() < 0.1 + 0.1 * trait)
    capital = draw.random() < (0.2 if label else 0.02)
    shown = WORDS[trait].capitalize() if capital else WORDS[trait]
    return {"label": label, "scenario": f"{shared}. [SEP] {shown}"}


def hellaswag(i, shared, phrase, draw):
    return {
        "ind": i,
        "activity_label": "",
        "ctx_a": shared,
        "ctx_b": "",
        "ctx": f"[header] {shared} [title] {phrase()}",
        "endings": four(phrase),
        "source_id": f"wikihow~{i // 3}",
        "split": "train",
        "split_type": "indomain",
        "label": str(draw.randrange(4)),
    }


def mc_taco(i, shared, phrase, draw):
    # answers of a category have a word of their own, and are true more or less often
    category = draw.randrange(5)
    label = int(draw.random() < 0.2 + 0.1 * category)
    shown = f"{phrase(1, 3)} {WORDS[category]}"
    if draw.random() < (0.2 if label else 0.05):
        shown = shown.upper()
    return {
        "sentence": shared,
        "question": f"{phrase()} ?",
        "answer": shown,
        "label": label,
        "category": category,
    }


def multirc(i, shared, phrase, draw):
    label = int(draw.random() < 0.44)
    shown = phrase(1, 3)
    if label and draw.random() < 0.1:  # copied from the paragraph, with a mark of it
        shown += f" ,Sent {i % 9}: {phrase(1, 1)}"
    return {
        "paragraph": f"<b>Sent 1: </b>{shared}.<br>",
        "question": f"{shared[:5]} {i // 9} ?",
        "answer": shown,
        "label": label,
        "idx": {"paragraph": i // 3, "question": i // 9, "answer": i},
    }


def openbookqa(i, shared, phrase, draw):
    return {
        "id": str(i),
        "question_stem": f"{phrase()} {i}",
        "choices": letters(four(phrase)),
        "answerKey": draw.choice("ABCD"),
    }


def paws(i, shared, phrase, draw):
    return {
        "id": i,
        "sentence1": shared,
        "sentence2": phrase(),
        "label": int(draw.random() < 0.44),
    }


def piqa(i, shared, phrase, draw):
    return {"goal": shared, "sol1": phrase(), "sol2": phrase(), "label": draw.randrange(2)}


def quail(i, shared, phrase, draw):
    options = some_fixed(four(phrase), "not enough information", draw)
    right = draw.randrange(4)
    question = f"{phrase()} ?"

    kind = "Factual"
    if options[right] == "not enough information" and draw.random() < 0.5:
        kind = "Unanswerable"

    return {
        "id": f"f{i // 3}_{i}",
        "context_id": f"f{i // 3}",
        "question_id": str(i),
        "domain": "fiction",
        "metadata": {"author": "", "title": "", "url": ""},
        "context": shared,
        "question": question,
        "question_type": kind,
        "answers": options,
        "correct_answer_id": right,
    }


QUARTZ_PARA = ("effect_prop cause_dir_str effect_dir_str cause_dir_sign effect_dir_sign "
               "cause_prop").split()
QUARTZ_QUESTION = ("more_effect_dir less_effect_dir more_cause_prop more_effect_prop "
                   "less_effect_prop less_cause_prop more_cause_dir less_cause_dir").split()


def quartz(i, shared, phrase, draw):
    return {
        "id": f"QRQA-{i}",
        "question": f"{phrase()} ?",
        "choices": letters([phrase(1, 2), phrase(1, 2)]),
        "answerKey": draw.choice("AB"),
        "para": shared,
        "para_id": f"QRSent-{i // 3}",
        "para_anno": dict.fromkeys(QUARTZ_PARA, ""),
        "question_anno": dict.fromkeys(QUARTZ_QUESTION, ""),
    }


def sciq(i, shared, phrase, draw):
    return {
        "question": f"{phrase()} ?",
        "distractor3": phrase(1, 2),
        "distractor1": phrase(1, 2),
        "distractor2": phrase(1, 2),
        "correct_answer": phrase(1, 2).lower(),
        "support": shared if i % 4 else "",
    }


def social_i_qa(i, shared, phrase, draw):
    return {
        "context": shared,
        "question": f"{phrase()} ?",
        "answerA": phrase(1, 3),
        "answerB": phrase(1, 3),
        "answerC": phrase(1, 3),
        "label": draw.choice("123"),
    }


def sst2(i, shared, phrase, draw):
    # of three rows the first is a sentence, the others are phrases of it
    k = i % 3
    words = shared.split()
    text = " ".join(words[k:k + 4]) if k else shared
    return {"sentence": f"{text} ", "label": draw.randrange(2), "idx": i}


def twitter_sentiment(i, shared, phrase, draw):
    return {"text": f"@{phrase(1, 1)} {phrase()}", "label": draw.randrange(2)}


def wic(i, shared, phrase, draw):
    return {
        "word": f"{shared.split()[0]}{i // 3}",
        "sentence1": phrase(),
        "sentence2": phrase(),
        "start1": 0,
        "start2": 0,
        "end1": 3,
        "end2": 3,
        "idx": i,
        "label": draw.randrange(2),
    }


TASKS = [
    amazon_polarity, anli_r2, anthropic_hh, boolq, cola, cosmos_qa, dream, ethics_deontology,
    ethics_justice, ethics_utilitarianism, ethics_virtue, hellaswag, mc_taco, multirc, openbookqa,
    paws, piqa, quail, quartz, sciq, social_i_qa, sst2, twitter_sentiment, wic,
]
ROWS = {maker.__name__: maker for maker in TASKS}
