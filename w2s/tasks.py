"""The public tasks: 24 datasets of the hub as binary questions, or, some, as several choices.

To add one, write a formatter and a row of TASKS. A formatter makes of a row of the dataset and of
draw(about), a number in [0, 1) by the seed and what it is about:
    {"text": str, "label": 0 or 1, "keys": [str, ...]}        a label word comes naturally after it
    {"choices": [str, str], "label": 0 or 1, "keys": [...]}   which of the two is right or preferred
    Question(...)                                             either of them, by --form
or None if it is of no use. Rows that share a key are one group and stay on one side of
every split. Also, where needed: "question", of whose rows one is kept; "stratum", within which
classes are balanced; "kind", of which a class takes equal parts; "candidate", the answer shown.

Whether the answer shown is the right one is drawn for the question, not the row, and right and
wrong ones look alike, in case and layout too: nothing may tell them apart but the answer.
"""

from w2s.questions import Question, before_reason, by_letter, first_sentence, pair
from w2s.questions import tidy, without_names, without_numbers, without_tags


def amazon_polarity(row, draw):
    text = f"Review: {row['title']}\n{row['content']}\nSentiment:"
    return {"text": text, "label": row["label"], "keys": [row["content"]]}


def anli_r2(row, draw):
    text = f"{row['premise']}\n\n{row['hypothesis']}\nDoes this follow?"
    label = int(row["label"] == 0)
    return {"text": text, "label": label, "keys": [row["premise"]], "kind": row["label"]}


def anthropic_hh(row, draw):
    prompt, _, better = row["chosen"].rpartition("\n\nAssistant:")
    other, _, worse = row["rejected"].rpartition("\n\nAssistant:")
    if prompt != other or better == worse or not (better and worse):
        return None  # where one says nothing, that is the chosen one

    def render(reply):
        return f"{prompt}\n\nAssistant:{reply}\n\nIs this reply good?"

    about = f"{prompt}|{sorted((better, worse))}"
    return pair(draw, about, better, worse, [prompt.split("\n\nAssistant:")[0]], render)


def boolq(row, draw):
    text = f"{row['passage']}\n\nQuestion: {row['question']}?"
    return {"text": text, "label": int(row["answer"]), "keys": [row["passage"]]}


def cola(row, draw):
    text = f"{row['sentence']}\nIs this sentence grammatical?"
    return {"text": text, "label": row["label"], "keys": [row["sentence"]]}


def cosmos_qa(row, draw):
    context, options = row["context"], [row[f"answer{n}"] for n in range(4)]
    right = options[row["label"]]
    return Question(context, row["question"], right, options, [context],
                    never="none of the above choices")


def dream(row, draw):
    dialogue = "\n".join(row["dialogue"])
    return Question(dialogue, row["question"], row["answer"], row["choice"], [dialogue])


def ethics_deontology(row, draw):
    scenario = row["scenario"]
    text = f"{scenario}\n{row['excuse']}\nIs this reasonable?"
    return {"text": text, "label": row["label"], "keys": [scenario], "question": scenario}


def ethics_justice(row, draw):
    # rows come in families that begin alike, most of them up to the reason that each gives
    words = before_reason(row["scenario"]).lower().split()
    stem, first_words = " ".join(words), " ".join(words[:8])
    return {"text": f"{row['scenario']}\nIs this reasonable?", "label": row["label"],
            "keys": [stem, first_words], "question": stem}


def ethics_utilitarianism(row, draw):
    better, worse = row["baseline"], row["less_pleasant"]
    if better == "baseline":  # a header read as a row
        return None
    # rows come in families that share their first sentence
    firsts = [first_sentence(better), first_sentence(worse)]
    families = [first for first in firsts if len(first.split()) >= 5]
    return pair(draw, f"{better}|{worse}", better, worse, [better, worse, *families],
                "{}\nIs this pleasant?".format)


def ethics_virtue(row, draw):
    text, trait = row["scenario"].rsplit(" [SEP] ", 1)
    trait = trait.lower()  # half of those in capitals are true, of the others a tenth
    # traits differ in how often they are true
    return {"text": f'{text}\nDoes this show the trait "{trait}"?', "label": row["label"],
            "keys": [text], "question": text, "stratum": trait, "candidate": trait}


def hellaswag(row, draw):
    context = without_tags(row["ctx"])
    endings = [without_tags(ending) for ending in row["endings"]]
    right = endings[int(row["label"])]
    return Question(context, "How does it go on?", right, endings, [row["source_id"], context])


def mc_taco(row, draw):
    shown = row["answer"].lower()  # what is in capitals is true almost twice as often
    text = f'{row["sentence"]}\n\nQuestion: {row["question"]}\nIs the answer "{shown}" plausible?'
    return {"text": text, "label": row["label"], "keys": [row["sentence"]],
            "stratum": row["category"], "candidate": shown}


def multirc(row, draw):
    paragraph = without_numbers(row["paragraph"])
    question = without_numbers(row["question"])
    shown = without_numbers(row["answer"])
    text = f'{paragraph}\n\nQuestion: {question}\nIs the answer "{shown}"?'
    return {"text": text, "label": row["label"], "keys": [paragraph],
            "question": f"{paragraph}|{question}", "candidate": shown}


def openbookqa(row, draw):
    question, options = row["question_stem"], row["choices"]["text"]
    right = by_letter(row["choices"], row["answerKey"])
    return Question("", question, right, options, [question])


def paws(row, draw):
    one, other = row["sentence1"], row["sentence2"]
    text = f"{one}\n{other}\nDo the two sentences mean the same?"
    return {"text": text, "label": row["label"], "keys": [one, other]}


def piqa(row, draw):
    right, wrong = row["sol1"], row["sol2"]
    if int(row["label"]) == 1:
        right, wrong = wrong, right

    def render(choice):
        return f"Goal: {row['goal']}\nSolution: {choice}\nDoes it work?"

    return pair(draw, row["goal"], right, wrong, [row["goal"]], render)


def quail(row, draw):
    context, options = row["context"], row["answers"]
    right = options[int(row["correct_answer_id"])]
    return Question(context, row["question"], right, options, [context],
                    never="not enough information")


def quartz(row, draw):
    context, options = row["para"], row["choices"]["text"]
    right = by_letter(row["choices"], row["answerKey"])
    return Question(context, row["question"], right, options, [row["para_id"], context])


def sciq(row, draw):
    question, support = row["question"], row["support"]
    right = row["correct_answer"].lower()
    wrong = [row[f"distractor{n}"].lower() for n in (1, 2, 3)]  # only wrong answers have capitals
    return Question(support, question, right, [right, *wrong], [question, support])


def social_i_qa(row, draw):
    context, options = row["context"], [row["answerA"], row["answerB"], row["answerC"]]
    right = options[int(row["label"]) - 1]
    return Question(context, row["question"], right, options, [context])


def sst2(row, draw):
    text = f"Review: {row['sentence']}\nSentiment:"
    return {"text": text, "label": row["label"], "keys": [row["sentence"]]}


def twitter_sentiment(row, draw):
    bare = without_names(row["text"])
    if not bare.strip():
        return None
    return {"text": f"Tweet: {row['text']}\nSentiment:", "label": row["label"], "keys": [bare]}


def wic(row, draw):
    word, one, other = row["word"], row["sentence1"], row["sentence2"]
    text = f'{one}\n{other}\nDoes "{word}" mean the same in both?'
    return {"text": text, "label": row["label"], "keys": [word, one, other]}


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
    def format_row(row, draw, form="binary"):
        made = formatter(tidy(row), draw)
        return getattr(made, form)(draw) if isinstance(made, Question) else made

    return {"hub": hub, "source": f"https://huggingface.co/datasets/{hub}", "config": config,
            "revision": "refs/convert/parquet" if parquet else None, "folder": folder,
            "train": train, "test": test, "sizes": sizes, "usable": usable,
            "format": format_row, "columns": columns.split(), "labels": labels,
            "label_words": list(words), "phrases": phrases, "domain": domain, "licence": licence}


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
        "context question answers correct_answer_id",
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
