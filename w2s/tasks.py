"""The public tasks: 24 datasets of the hub as binary questions.

To add one, write a formatter of a few lines and a row of TASKS. A formatter makes of a row of the
dataset, and of draw(about), a number in [0, 1) that depends on the seed and on what it is about:

    {"text": str, "label": 0 or 1, "keys": [str, ...]}        a label word comes naturally after it
    {"choices": [str, str], "label": 0 or 1, "keys": [...]}   which of the two is right or preferred

or None where the row is of no use. Rows that share a key are one group and stay on one side of
every split. Also, where needed: "question", of whose rows one is kept; "stratum", within which
classes are balanced; "kind", of which a class takes equal parts; "candidate", the answer shown.

Whether the answer shown is the right one is drawn for the question, not the row, and right and
wrong ones look alike, in case and layout too: nothing may tell them apart but the answer.
"""

import html.entities
import re

# "R&B", or "?a=1&copy=2" in an address, holds none
ENTITY = re.compile(r"&(#\d+|#x[\da-fA-F]+|\w+);")
REASON = r"(?:because|so|since|as|for)\b"


def tidy(value):
    """Strips every text of a row, and writes its HTML entities as the characters they stand for."""
    if isinstance(value, dict):
        return {key: tidy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [tidy(part) for part in value]
    if isinstance(value, str):
        return ENTITY.sub(character, value).strip()
    return value


def character(entity):
    known = entity[1].startswith("#") or f"{entity[1]};" in html.entities.html5
    return html.unescape(entity[0]) if known else entity[0]


def answer(draw, context, question, right, wrong, keys, never=None):
    """Asks a question with the right answer or, as likely, one of the wrong ones.

    never  an option whose words give the label away
    """
    wrong = [option for option in wrong if plain(option) not in (plain(right), never)]
    if plain(right) == never or not wrong:
        return None
    u = draw(f"{context}|{question}")
    candidate = right if u >= 0.5 else wrong[int(2 * u * len(wrong))]
    text = f'Question: {question}\nIs the answer "{candidate}"?'
    if context:
        text = f"{context}\n\n{text}"
    return {"text": text, "label": int(u >= 0.5), "keys": keys, "candidate": candidate}


def plain(text):
    return text.lower().strip(" .")


def pair(draw, about, right, wrong, keys, form):
    """Puts the right choice first or second, by the draw; form(choice) renders one."""
    label = int(draw(about) >= 0.5)
    choices = [form(wrong), form(right)] if label else [form(right), form(wrong)]
    return {"choices": choices, "label": label, "keys": keys}


def boolq(row, draw):
    return {"text": f"{row['passage']}\n\nQuestion: {row['question']}?",
            "label": int(row["answer"]), "keys": [row["passage"]]}


def cosmos_qa(row, draw):
    options = [row[f"answer{n}"] for n in range(4)]
    return answer(draw, row["context"], row["question"], options[row["label"]], options,
                  [row["context"]], never="none of the above choices")


def dream(row, draw):
    dialogue = "\n".join(row["dialogue"])
    return answer(draw, dialogue, row["question"], row["answer"], row["choice"], [dialogue])


def ethics_justice(row, draw):
    # rows come in families that begin alike, most of them up to the reason that each gives
    before = re.match(rf"(?:\S+\s+){{4,}}?(?={REASON})", row["scenario"], re.IGNORECASE)
    stem = " ".join((before[0] if before else row["scenario"]).lower().split())
    begins = " ".join(stem.split()[:8])
    return {"text": f"{row['scenario']}\nIs this reasonable?", "label": row["label"],
            "keys": [stem, begins], "question": stem}


def ethics_deontology(row, draw):
    return {"text": f"{row['scenario']}\n{row['excuse']}\nIs this reasonable?",
            "label": row["label"], "keys": [row["scenario"]], "question": row["scenario"]}


def ethics_virtue(row, draw):
    text, trait = row["scenario"].rsplit(" [SEP] ", 1)
    trait = trait.lower()  # half of those in capitals are true, of the others a tenth
    return {"text": f'{text}\nDoes this show the trait "{trait}"?', "label": row["label"],
            "keys": [text], "question": text,
            "stratum": trait, "candidate": trait}  # traits differ in how often they are true


def ethics_utilitarianism(row, draw):
    better, worse = row["baseline"], row["less_pleasant"]
    if better == "baseline":  # a header read as a row
        return None
    # rows come in families that share their first sentence
    firsts = [re.match(r".*?[.!?](?=\s|$)|.*", text, re.DOTALL)[0] for text in (better, worse)]
    family = [first for first in firsts if len(first.split()) >= 5]
    return pair(draw, f"{better}|{worse}", better, worse, [better, worse, *family],
                "{}\nIs this pleasant?".format)


def anli_r2(row, draw):
    return {"text": f"{row['premise']}\n\n{row['hypothesis']}\nDoes this follow?",
            "label": int(row["label"] == 0), "keys": [row["premise"]], "kind": row["label"]}


def cola(row, draw):
    return {"text": f"{row['sentence']}\nIs this sentence grammatical?", "label": row["label"],
            "keys": [row["sentence"]]}


def sst2(row, draw):
    return {"text": f"Review: {row['sentence']}\nSentiment:", "label": row["label"],
            "keys": [row["sentence"]]}


def hellaswag(row, draw):
    context, *endings = [without_tags(text) for text in (row["ctx"], *row["endings"])]
    return answer(draw, context, "How does it go on?", endings[int(row["label"])], endings,
                  [row["source_id"], context])


def without_tags(text):
    """Joins what stands between wikiHow's [title], [step] and the like as sentences."""
    *parts, last = [" ".join(part.split()) for part in re.split(r"\[\w+\]", text)]
    ended = [part if re.search(r"[.!?:;,][\"')]*$", part) else f"{part}." for part in parts if part]
    return " ".join([*ended, last]).strip()


def mc_taco(row, draw):
    shown = row["answer"].lower()  # what is in capitals is true almost twice as often
    return {"text": f"{row['sentence']}\n\nQuestion: {row['question']}\n"
                    f'Is the answer "{shown}" plausible?',
            "label": row["label"], "keys": [row["sentence"]], "stratum": row["category"],
            "candidate": shown}


def openbookqa(row, draw):
    options = row["choices"]["text"]
    right = options[row["choices"]["label"].index(row["answerKey"])]
    return answer(draw, "", row["question_stem"], right, options, [row["question_stem"]])


def paws(row, draw):
    return {"text": f"{row['sentence1']}\n{row['sentence2']}\nDo the two sentences mean the same?",
            "label": row["label"], "keys": [row["sentence1"], row["sentence2"]]}


def quail(row, draw):
    options, right = row["answers"], int(row["correct_answer_id"])
    if row["question_type"] == "Unanswerable":
        return None
    return answer(draw, row["context"], row["question"], options[right], options,
                  [row["context"]], never="not enough information")


def piqa(row, draw):
    right, wrong = row["sol1"], row["sol2"]
    if int(row["label"]) == 1:
        right, wrong = wrong, right
    return pair(draw, row["goal"], right, wrong, [row["goal"]],
                lambda choice: f"Goal: {row['goal']}\nSolution: {choice}\nDoes it work?")


def quartz(row, draw):
    options = row["choices"]["text"]
    right = options[row["choices"]["label"].index(row["answerKey"])]
    return answer(draw, row["para"], row["question"], right, options, [row["para_id"], row["para"]])


def sciq(row, draw):
    # only wrong answers have capitals
    right, *wrong = [row[name].lower() for name in
                     ("correct_answer", "distractor1", "distractor2", "distractor3")]
    return answer(draw, row["support"], row["question"], right, wrong,
                  [row["question"], row["support"]])


def social_i_qa(row, draw):
    options = [row["answerA"], row["answerB"], row["answerC"]]
    return answer(draw, row["context"], row["question"], options[int(row["label"]) - 1], options,
                  [row["context"]])


def multirc(row, draw):
    paragraph, question, shown = [without_numbers(row[name])
                                  for name in ("paragraph", "question", "answer")]
    return {"text": f'{paragraph}\n\nQuestion: {question}\nIs the answer "{shown}"?',
            "label": row["label"], "keys": [paragraph], "question": f"{paragraph}|{question}",
            "candidate": shown}


def without_numbers(text):
    """Removes MultiRC's marks "Sent 3:", with their tags, and blanks that stand before a comma.

    In answers both are signs of a right one: it was copied from the paragraph.
    """
    text = re.sub(r"</?b>|<br>", " ", text)
    text = re.sub(r"\(Sent \d+\)|\bSent \d+\b:?", " ", text)
    return re.sub(r" (?=[.,;:!?])", "", " ".join(text.split()))


def wic(row, draw):
    return {"text": f"{row['sentence1']}\n{row['sentence2']}\n"
                    f"Does \"{row['word']}\" mean the same in both?",
            "label": row["label"], "keys": [row["word"], row["sentence1"], row["sentence2"]]}


def twitter_sentiment(row, draw):
    bare = re.sub(r"@\w+|https?://\S+", " ", row["text"])
    if not bare.strip():
        return None
    return {"text": f"Tweet: {row['text']}\nSentiment:", "label": row["label"], "keys": [bare]}


def amazon_polarity(row, draw):
    return {"text": f"Review: {row['title']}\n{row['content']}\nSentiment:", "label": row["label"],
            "keys": [row["content"]]}


def anthropic_hh(row, draw):
    prompt, _, better = row["chosen"].rpartition("\n\nAssistant:")
    other, _, worse = row["rejected"].rpartition("\n\nAssistant:")
    # no reply at all is a chosen one
    if prompt != other or better == worse or not (better and worse):
        return None
    return pair(draw, f"{prompt}|{sorted((better, worse))}", better, worse,
                [prompt.split("\n\nAssistant:")[0]],
                lambda choice: f"{prompt}\n\nAssistant:{choice}\n\nIs this reply good?")


def task(hub, formatter, train, test, sizes, columns, labels, domain, licence,
         words=(" no", " yes"), config=None, parquet=False, folder=None, phrases=False,
         usable=None):
    """Makes a row of TASKS.

    sizes    rows of the two splits: another number is a sign of another dataset
    columns  that must be there
    labels   (column, the values it may have), or None
    parquet  the repository needs a script, which is not run: the hub's parquet copy of it is read
    folder   of that copy, where it has several
    phrases  some texts are parts of others, and belong to their group
    usable   examples that come out of train, both halves, and of test, where less than half do
    """
    return {"hub": hub, "format": lambda row, draw: formatter(tidy(row), draw),
            "train": train, "test": test, "sizes": sizes, "usable": usable,
            "columns": columns.split(), "labels": labels, "domain": domain, "licence": licence,
            "label_words": list(words), "config": config, "folder": folder, "phrases": phrases,
            "revision": "refs/convert/parquet" if parquet else None,
            "source": f"https://huggingface.co/datasets/{hub}"}


BINARY, FOUR = ("label", {0, 1}), {0, 1, 2, 3}
SENTIMENT = (" negative", " positive")
TASKS = {
    "amazon_polarity": task(
        "fancyzhx/amazon_polarity", amazon_polarity, "train", "test", (3600000, 400000),
        "label title content", BINARY, "sentiment", "Apache-2.0", SENTIMENT,
        config="amazon_polarity"),
    "anli_r2": task(
        "facebook/anli", anli_r2, "train_r2", "test_r2", (45460, 1000), "premise hypothesis label",
        ("label", {0, 1, 2}), "inference", "CC-BY-NC-4.0"),
    "anthropic_hh": task(
        "Anthropic/hh-rlhf", anthropic_hh, "train", "test", (160800, 8552), "chosen rejected", None,
        "preferences", "MIT"),
    "boolq": task(
        "google/boolq", boolq, "train", "validation", (9427, 3270), "question passage answer",
        ("answer", {True, False}), "reading", "CC-BY-SA-3.0"),
    "cola": task(
        "nyu-mll/glue", cola, "train", "validation", (8551, 1043), "sentence label", BINARY,
        "grammar", "other", config="cola"),
    "cosmos_qa": task(
        "allenai/cosmos_qa", cosmos_qa, "train", "validation", (25262, 2985),
        "context question answer0 answer1 answer2 answer3 label", ("label", FOUR), "reading",
        "CC-BY-4.0", parquet=True),
    "dream": task(
        "dataset-org/dream", dream, "train", "test", (6116, 2041),
        "dialogue question choice answer", None, "reading", "non-commercial research", parquet=True,
        folder="plain_text"),
    "ethics_deontology": task(
        "hendrycks/ethics", ethics_deontology, "train", "validation", (18164, 3596),
        "label scenario excuse", BINARY, "ethics", "MIT", parquet=True, folder="deontology",
        usable=(4756, 880)),
    "ethics_justice": task(
        "hendrycks/ethics", ethics_justice, "train", "validation", (21791, 2704), "label scenario",
        BINARY, "ethics", "MIT", parquet=True, folder="justice", usable=(8882, 1028)),
    "ethics_utilitarianism": task(
        "hendrycks/ethics", ethics_utilitarianism, "train", "validation", (13737, 4807),
        "baseline less_pleasant", None, "ethics", "MIT", parquet=True, folder="utilitarianism"),
    "ethics_virtue": task(
        "hendrycks/ethics", ethics_virtue, "train", "validation", (28245, 4975), "label scenario",
        BINARY, "ethics", "MIT", parquet=True, folder="virtue", usable=(2020, 682)),
    "hellaswag": task(
        "Rowan/hellaswag", hellaswag, "train", "validation", (39905, 10042),
        "ctx endings source_id label", ("label", {"0", "1", "2", "3"}), "commonsense", "MIT"),
    # the answer alone tells the label in two rows of three (.67 to .69): the data's own bias
    "mc_taco": task(
        "CogComp/mc_taco", mc_taco, "test", "validation", (9442, 3783),
        "sentence question answer label category", BINARY, "commonsense", "unknown", parquet=True),
    "multirc": task(
        "aps/super_glue", multirc, "train", "validation", (27243, 4848),
        "paragraph question answer label", BINARY, "reading", "other", config="multirc",
        usable=(5086, 918)),
    "openbookqa": task(
        "allenai/openbookqa", openbookqa, "train", "test", (4957, 500),
        "question_stem choices answerKey", None, "science", "unknown", config="main"),
    "paws": task(
        "google-research-datasets/paws", paws, "train", "test", (49401, 8000),
        "sentence1 sentence2 label", BINARY, "paraphrase", "free use, credit to Google",
        config="labeled_final"),
    "piqa": task(
        "baber/piqa", piqa, "train", "validation", (16113, 1838), "goal sol1 sol2 label",
        ("label", {0, 1, "0", "1"}), "commonsense", "unknown"),
    "quail": task(
        "textmachinelab/quail", quail, "train", "validation", (10246, 2164),
        "context question question_type answers correct_answer_id",
        ("correct_answer_id", FOUR | {"0", "1", "2", "3"}), "reading", "CC-BY-NC-SA-4.0"),
    "quartz": task(
        "allenai/quartz", quartz, "train", "test", (2696, 784),
        "question choices answerKey para para_id", None, "science", "CC-BY-4.0"),
    "sciq": task(
        "allenai/sciq", sciq, "train", "test", (11679, 1000),
        "question distractor1 distractor2 distractor3 correct_answer support", None, "science",
        "CC-BY-NC-3.0"),
    "social_i_qa": task(
        "lighteval/siqa", social_i_qa, "train", "validation", (33410, 1954),
        "context question answerA answerB answerC label", ("label", {"1", "2", "3"}), "commonsense",
        "none stated"),
    "sst2": task(
        "nyu-mll/glue", sst2, "train", "validation", (67349, 872), "sentence label", BINARY,
        "sentiment", "other", SENTIMENT, config="sst2", phrases=True),
    "twitter_sentiment": task(
        "EleutherAI/twitter-sentiment", twitter_sentiment, "train", "test", (1578627, 10000),
        "text label", BINARY, "sentiment", "none stated", SENTIMENT),
    "wic": task(
        "aps/super_glue", wic, "train", "validation", (5428, 638), "word sentence1 sentence2 label",
        BINARY, "word sense", "other", config="wic"),
}
