"""Rows in the exact schema of each public task, made of random words: whether an answer is right cannot be known from it."""

import random

WORDS = [a + b for a in "ba de fi go lu mi no pe ra su ti vo".split() for b in "bel dor fan gim lor mun nat pil ros tev".split()]


def make(task, n, seed=0):
    """n rows, and others for every seed. Groups (passages, dialogues...) hold about three rows each."""
    draw = random.Random(f"{task}{seed}")

    def phrase(low=3, high=7):
        text = " ".join(draw.choices(WORDS, k=draw.randint(low, high)))
        return text.capitalize() if draw.random() < 0.2 else text

    shared = [phrase(8, 15) for _ in range(n // 3 + 1)]  # what a group has in common
    return [ROWS[task](i, shared[i // 3], phrase, draw) for i in range(n)]


def letters(options):
    return {"text": options, "label": list("ABCDE")[:len(options)]}


def some_fixed(options, string, draw):
    """Four options of which the last is, in half of the rows, a string that stands in many rows."""
    return options[:3] + [string] if draw.random() < 0.5 else options


def hh(i, shared, phrase, draw):
    earlier = f"\n\nHuman: {shared} ?" + f"\n\nAssistant: a reply\n\nHuman: {phrase()} ?" * draw.randint(0, 1)
    return {"chosen": f"{earlier}\n\nAssistant: {phrase()}.", "rejected": f"{earlier}\n\nAssistant: {phrase()}."}


def four(phrase):
    return [phrase(1, 3) for _ in range(4)]


def quail(i, shared, phrase, draw):
    options = some_fixed(four(phrase), "not enough information", draw)
    right = draw.randrange(4)
    return {"id": f"f{i // 3}_{i}", "context_id": f"f{i // 3}", "question_id": str(i), "domain": "fiction",
            "metadata": {"author": "", "title": "", "url": ""}, "context": shared, "question": f"{phrase()} ?",
            "question_type": "Unanswerable" if options[right] == "not enough information" and draw.random() < 0.5 else "Factual",
            "answers": options, "correct_answer_id": right}


def cosmos(i, shared, phrase, draw):
    options = some_fixed(four(phrase), "None of the above choices .", draw)
    return {"id": f"{i}##row", "context": shared, "question": f"{phrase()} ?", **{f"answer{k}": option for k, option in enumerate(options)},
            "label": draw.choice([0, 1, 2] * 3 + [3])}


def quartz(i, shared, phrase, draw):
    anno = {"effect_prop": "", "cause_dir_str": "", "effect_dir_str": "", "cause_dir_sign": "", "effect_dir_sign": "", "cause_prop": ""}
    question = {"more_effect_dir": "", "less_effect_dir": "", "more_cause_prop": "", "more_effect_prop": "", "less_effect_prop": "",
                "less_cause_prop": "", "more_cause_dir": "", "less_cause_dir": ""}
    return {"id": f"QRQA-{i}", "question": f"{phrase()} ?", "choices": letters([phrase(1, 2), phrase(1, 2)]), "answerKey": draw.choice("AB"),
            "para": shared, "para_id": f"QRSent-{i // 3}", "para_anno": anno, "question_anno": question}


def dream(i, shared, phrase, draw):
    options = four(phrase)[:3]
    return {"id": i, "dialogue_id": f"9-{i // 3}", "dialogue": [f"M: {shared}", f"W: {shared[::-1]}"], "question": f"{phrase()} ?",
            "choice": options, "answer": draw.choice(options)}


def virtue(i, shared, phrase, draw):
    trait = draw.randrange(8)  # of which some are true more often than others
    label = int(draw.random() < 0.1 + 0.1 * trait)
    capital = draw.random() < (0.2 if label else 0.02)
    shown = WORDS[trait].capitalize() if capital else WORDS[trait]
    return {"label": label, "scenario": f"{shared}. [SEP] {shown}"}


def taco(i, shared, phrase, draw):
    category = draw.randrange(5)  # whose answers have words of their own, and are true more or less often
    label = int(draw.random() < 0.2 + 0.1 * category)
    shown = f"{phrase(1, 3)} {WORDS[category]}"
    if draw.random() < (0.2 if label else 0.05):
        shown = shown.upper()
    return {"sentence": shared, "question": f"{phrase()} ?", "answer": shown, "label": label,
            "category": category}


def multirc(i, shared, phrase, draw):
    label = int(draw.random() < 0.44)
    shown = phrase(1, 3)
    if label and draw.random() < 0.1:  # copied from the paragraph, with a mark of it
        shown += f" ,Sent {i % 9}: {phrase(1, 1)}"
    return {"paragraph": f"<b>Sent 1: </b>{shared}.<br>", "question": f"{shared[:5]} {i // 9} ?",
            "answer": shown, "label": label,
            "idx": {"paragraph": i // 3, "question": i // 9, "answer": i}}


def wic(i, shared, phrase, draw):
    return {"word": f"{shared.split()[0]}{i // 3}", "sentence1": phrase(), "sentence2": phrase(), "start1": 0, "start2": 0, "end1": 3,
            "end2": 3, "idx": i, "label": draw.randrange(2)}


ROWS = {
    "amazon_polarity": lambda i, s, p, d: {"label": d.randrange(2), "title": p(1, 3), "content": p(8, 20)},
    "anli_r2": lambda i, s, p, d: {"uid": str(i), "premise": s, "hypothesis": f"{p()}.", "label": d.choice([0, 1, 1, 2]), "reason": p()},
    "anthropic_hh": hh,
    "boolq": lambda i, s, p, d: {"question": f"is {p()}", "answer": d.random() < 0.62, "passage": f"{s} -- {s}"},
    "cola": lambda i, s, p, d: {"sentence": f"{p()}.", "label": int(d.random() < 0.7), "idx": i},
    "cosmos_qa": cosmos,
    "dream": dream,
    "ethics_deontology": lambda i, s, p, d: {"label": d.randrange(2), "scenario": f"{s}?", "excuse": f"No because {p()}."},
    "ethics_justice": lambda i, s, p, d: {"label": d.randrange(2), "scenario": f"{s} because {p()}."},
    "ethics_utilitarianism": lambda i, s, p, d: {"baseline": f"{s}. {p()}.", "less_pleasant": f"{s}. {p()}."},
    "ethics_virtue": virtue,
    "hellaswag": lambda i, s, p, d: {"ind": i, "activity_label": "", "ctx_a": s, "ctx_b": "", "ctx": f"[header] {s} [title] {p()}",
                                     "endings": four(p), "source_id": f"wikihow~{i // 3}", "split": "train", "split_type": "indomain",
                                     "label": str(d.randrange(4))},
    "mc_taco": taco,
    "multirc": multirc,
    "openbookqa": lambda i, s, p, d: {"id": str(i), "question_stem": f"{p()} {i}", "choices": letters(four(p)), "answerKey": d.choice("ABCD")},
    "paws": lambda i, s, p, d: {"id": i, "sentence1": s, "sentence2": p(), "label": int(d.random() < 0.44)},
    "piqa": lambda i, s, p, d: {"goal": s, "sol1": p(), "sol2": p(), "label": d.randrange(2)},
    "quail": quail,
    "quartz": quartz,
    "sciq": lambda i, s, p, d: {"question": f"{p()} ?", "distractor3": p(1, 2), "distractor1": p(1, 2), "distractor2": p(1, 2),
                                "correct_answer": p(1, 2).lower(), "support": s if i % 4 else ""},
    "social_i_qa": lambda i, s, p, d: {"context": s, "question": f"{p()} ?", "answerA": p(1, 3), "answerB": p(1, 3), "answerC": p(1, 3),
                                       "label": d.choice("123")},
    "sst2": lambda i, s, p, d: {"sentence": f"{s if i % 3 == 0 else ' '.join(s.split()[i % 3:i % 3 + 4])} ", "label": d.randrange(2), "idx": i},
    "twitter_sentiment": lambda i, s, p, d: {"text": f"@{p(1, 1)} {p()}", "label": d.randrange(2)},
    "wic": wic,
}
