"""The public tasks: 24 datasets of the hub as binary questions. To add one, write a formatter of a few lines and a row of TASKS.

A formatter makes of a dataset's row, and of draw(about), a number in [0, 1) that depends on the seed and on what it is about:

    {"text": str, "label": 0 or 1, "keys": [str, ...]}        a text after which a label word comes naturally
    {"choices": [str, str], "label": 0 or 1, "keys": [...]}   which of the two is right or preferred

or None where the row is of no use. Rows that share a key are one group and stay on one side of every split. Also, where needed:
"question", of whose rows one is kept; "stratum", within which classes are balanced; "kind", of which a class takes equal parts;
"candidate", what is shown as the answer. Whether the answer shown is the right one is drawn for the question, not the row, and
right and wrong ones look alike: nothing may tell them apart but the answer.
"""

import re


def answer(draw, context, question, right, wrong, keys, never=None):
    """A question with the right answer or, as likely, one of the wrong ones. `never`: an option whose words give the label away."""
    wrong = [option for option in wrong if plain(option) not in (plain(right), never)]
    if plain(right) == never or not wrong:
        return None
    u = draw(f"{context}|{question}")
    candidate = right if u >= 0.5 else wrong[int(2 * u * len(wrong))]
    text = (f"{context}\n\n" if context else "") + f'Question: {question}\nIs the answer "{candidate}"?'
    return {"text": text, "label": int(u >= 0.5), "keys": keys, "candidate": candidate}


def plain(text):
    return text.lower().strip(" .")


def pair(draw, about, right, wrong, keys, form):
    """Two choices, the right one first or second by the draw; form(choice) renders one."""
    label = int(draw(about) >= 0.5)
    return {"choices": [form(wrong), form(right)] if label else [form(right), form(wrong)], "label": label, "keys": keys}


def boolq(row, draw):
    return {"text": f"{row['passage']}\n\nQuestion: {row['question'].strip()}?", "label": int(row["answer"]), "keys": [row["passage"]]}


def cosmos_qa(row, draw):
    options = [row[f"answer{n}"] for n in range(4)]
    return answer(draw, row["context"], row["question"], options[row["label"]], options, [row["context"]], "none of the above choices")


def dream(row, draw):
    dialogue = "\n".join(row["dialogue"])
    return answer(draw, dialogue, row["question"], row["answer"], row["choice"], [dialogue])


def ethics_justice(row, draw):
    begins = re.match(r"(?:\S+ ){4,}?(?=because |so )", row["scenario"])  # rows come in families that begin alike
    stem = begins[0] if begins else row["scenario"]
    return {"text": f"{row['scenario']}\nIs this reasonable?", "label": row["label"], "keys": [stem], "question": stem}


def ethics_deontology(row, draw):
    return {"text": f"{row['scenario']}\n{row['excuse']}\nIs this reasonable?", "label": row["label"],
            "keys": [row["scenario"]], "question": row["scenario"]}


def ethics_virtue(row, draw):
    text, trait = row["scenario"].rsplit(" [SEP] ", 1)
    return {"text": f'{text}\nDoes this show the trait "{trait}"?', "label": row["label"], "keys": [text], "question": text,
            "stratum": trait, "candidate": trait}  # traits differ in how often they are true


def ethics_utilitarianism(row, draw):
    better, worse = row["baseline"], row["less_pleasant"]
    if better == "baseline":  # a header read as a row
        return None
    return pair(draw, f"{better}|{worse}", better, worse, [better, worse], "{}\nIs this pleasant?".format)


def anli_r2(row, draw):
    return {"text": f"{row['premise']}\n\n{row['hypothesis']}\nDoes this follow?", "label": int(row["label"] == 0),
            "keys": [row["premise"]], "kind": row["label"]}


def cola(row, draw):
    return {"text": f"{row['sentence']}\nIs this sentence grammatical?", "label": row["label"], "keys": [row["sentence"]]}


def sst2(row, draw):
    return {"text": f"Review: {row['sentence'].strip()}\nSentiment:", "label": row["label"], "keys": [row["sentence"]]}


def hellaswag(row, draw):
    context, *endings = (" ".join(re.sub(r"\[\w+\]", " ", text).split()) for text in (row["ctx"], *row["endings"]))
    return answer(draw, context, "How does it go on?", endings[int(row["label"])], endings, [row["source_id"], context])


def mc_taco(row, draw):
    return {"text": f"{row['sentence']}\n\nQuestion: {row['question']}\nIs the answer \"{row['answer']}\" plausible?",
            "label": row["label"], "keys": [row["sentence"]], "stratum": row["category"], "candidate": row["answer"]}


def openbookqa(row, draw):
    options = row["choices"]["text"]
    right = options[row["choices"]["label"].index(row["answerKey"].strip())]
    return answer(draw, "", row["question_stem"], right, options, [row["question_stem"]])


def paws(row, draw):
    return {"text": f"{row['sentence1']}\n{row['sentence2']}\nDo the two sentences mean the same?", "label": row["label"],
            "keys": [row["sentence1"], row["sentence2"]]}


def quail(row, draw):
    options, right = row["answers"], int(row["correct_answer_id"])
    if row["question_type"] == "Unanswerable":
        return None
    return answer(draw, row["context"], row["question"], options[right], options, [row["context"]], "not enough information")


def piqa(row, draw):
    wrong, right = (row["sol2"], row["sol1"]) if int(row["label"]) == 0 else (row["sol1"], row["sol2"])
    return pair(draw, row["goal"], right, wrong, [row["goal"]], lambda choice: f"Goal: {row['goal']}\nSolution: {choice}\nDoes it work?")


def quartz(row, draw):
    options = row["choices"]["text"]
    right = options[row["choices"]["label"].index(row["answerKey"].strip())]
    return answer(draw, row["para"], row["question"], right, options, [row["para_id"], row["para"]])


def sciq(row, draw):
    wrong = [row[f"distractor{n}"] for n in (1, 2, 3)]
    return answer(draw, row["support"], row["question"], row["correct_answer"], wrong, [row["question"], row["support"]])


def social_i_qa(row, draw):
    options = [row["answerA"], row["answerB"], row["answerC"]]
    return answer(draw, row["context"], row["question"], options[int(row["label"]) - 1], options, [row["context"]])


def multirc(row, draw):
    paragraph = " ".join(re.sub(r"<b>Sent \d+: </b>|<br>", " ", row["paragraph"]).split())
    return {"text": f"{paragraph}\n\nQuestion: {row['question']}\nIs the answer \"{row['answer']}\"?", "label": row["label"],
            "keys": [paragraph], "question": f"{paragraph}|{row['question']}", "candidate": row["answer"]}


def wic(row, draw):
    return {"text": f"{row['sentence1']}\n{row['sentence2']}\nDoes \"{row['word']}\" mean the same in both?", "label": row["label"],
            "keys": [row["word"], row["sentence1"], row["sentence2"]]}


def twitter_sentiment(row, draw):
    bare = re.sub(r"@\w+|https?://\S+", " ", row["text"])
    if not bare.strip():
        return None
    return {"text": f"Tweet: {row['text'].strip()}\nSentiment:", "label": row["label"], "keys": [bare]}


def amazon_polarity(row, draw):
    return {"text": f"Review: {row['title'].strip()}\n{row['content'].strip()}\nSentiment:", "label": row["label"],
            "keys": [row["content"]]}


def anthropic_hh(row, draw):
    (prompt, _, better), (other, _, worse) = (row[name].rpartition("\n\nAssistant:") for name in ("chosen", "rejected"))
    if prompt != other or better.strip() == worse.strip():
        return None
    return pair(draw, f"{prompt}|{sorted((better, worse))}", better, worse, [prompt.split("\n\nAssistant:")[0]],
                lambda choice: f"{prompt.strip()}\n\nAssistant:{choice}\n\nIs this reply good?")


def task(hub, formatter, train, test, sizes, columns, labels, domain, licence, words=(" no", " yes"), config=None, parquet=False,
         folder=None, phrases=False):
    """A row of TASKS.

    sizes    rows of the two splits: another number is a sign of another dataset
    columns  that must be there
    labels   (column, the values it may have), or None
    parquet  the repository needs a script, which is not run: the hub's parquet copy of it is read
    folder   of that copy, where it has several
    phrases  some texts are parts of others, and belong to their group
    """
    return {"hub": hub, "format": formatter, "train": train, "test": test, "sizes": sizes, "columns": columns.split(), "labels": labels,
            "domain": domain, "licence": licence, "label_words": list(words), "config": config,
            "revision": "refs/convert/parquet" if parquet else None, "folder": folder, "phrases": phrases,
            "source": f"https://huggingface.co/datasets/{hub}"}


BINARY, FOUR = ("label", {0, 1}), {0, 1, 2, 3}
SENTIMENT = (" negative", " positive")
TASKS = {
    "amazon_polarity": task("fancyzhx/amazon_polarity", amazon_polarity, "train", "test", (3600000, 400000), "label title content", BINARY,
                            "sentiment", "Apache-2.0", SENTIMENT, config="amazon_polarity"),
    "anli_r2": task("facebook/anli", anli_r2, "train_r2", "test_r2", (45460, 1000), "premise hypothesis label", ("label", {0, 1, 2}),
                    "inference", "CC-BY-NC-4.0"),
    "anthropic_hh": task("Anthropic/hh-rlhf", anthropic_hh, "train", "test", (160800, 8552), "chosen rejected", None, "preferences", "MIT"),
    "boolq": task("google/boolq", boolq, "train", "validation", (9427, 3270), "question passage answer", ("answer", {True, False}),
                  "reading", "CC-BY-SA-3.0"),
    "cola": task("nyu-mll/glue", cola, "train", "validation", (8551, 1043), "sentence label", BINARY, "grammar", "other", config="cola"),
    "cosmos_qa": task("allenai/cosmos_qa", cosmos_qa, "train", "validation", (25262, 2985),
                      "context question answer0 answer1 answer2 answer3 label", ("label", FOUR), "reading", "CC-BY-4.0", parquet=True),
    "dream": task("dataset-org/dream", dream, "train", "test", (6116, 2041), "dialogue question choice answer", None, "reading",
                  "non-commercial research", parquet=True, folder="plain_text"),
    "ethics_deontology": task("hendrycks/ethics", ethics_deontology, "train", "validation", (18164, 3596), "label scenario excuse", BINARY,
                              "ethics", "MIT", parquet=True, folder="deontology"),
    "ethics_justice": task("hendrycks/ethics", ethics_justice, "train", "validation", (21791, 2704), "label scenario", BINARY, "ethics",
                           "MIT", parquet=True, folder="justice"),
    "ethics_utilitarianism": task("hendrycks/ethics", ethics_utilitarianism, "train", "validation", (13737, 4807),
                                  "baseline less_pleasant", None, "ethics", "MIT", parquet=True, folder="utilitarianism"),
    "ethics_virtue": task("hendrycks/ethics", ethics_virtue, "train", "validation", (28245, 4975), "label scenario", BINARY, "ethics",
                          "MIT", parquet=True, folder="virtue"),
    "hellaswag": task("Rowan/hellaswag", hellaswag, "train", "validation", (39905, 10042), "ctx endings source_id label",
                      ("label", {"0", "1", "2", "3"}), "commonsense", "MIT"),
    "mc_taco": task("CogComp/mc_taco", mc_taco, "test", "validation", (9442, 3783), "sentence question answer label category", BINARY,
                    "commonsense", "unknown", parquet=True),
    "multirc": task("aps/super_glue", multirc, "train", "validation", (27243, 4848), "paragraph question answer label", BINARY, "reading",
                    "other", config="multirc"),
    "openbookqa": task("allenai/openbookqa", openbookqa, "train", "test", (4957, 500), "question_stem choices answerKey", None, "science",
                       "unknown", config="main"),
    "paws": task("google-research-datasets/paws", paws, "train", "test", (49401, 8000), "sentence1 sentence2 label", BINARY, "paraphrase",
                 "free use, credit to Google", config="labeled_final"),
    "piqa": task("baber/piqa", piqa, "train", "validation", (16113, 1838), "goal sol1 sol2 label", ("label", {0, 1, "0", "1"}),
                 "commonsense", "unknown"),
    "quail": task("textmachinelab/quail", quail, "train", "validation", (10246, 2164),
                  "context question question_type answers correct_answer_id", ("correct_answer_id", FOUR | {"0", "1", "2", "3"}),
                  "reading", "CC-BY-NC-SA-4.0"),
    "quartz": task("allenai/quartz", quartz, "train", "test", (2696, 784), "question choices answerKey para para_id", None, "science",
                   "CC-BY-4.0"),
    "sciq": task("allenai/sciq", sciq, "train", "test", (11679, 1000),
                 "question distractor1 distractor2 distractor3 correct_answer support", None, "science", "CC-BY-NC-3.0"),
    "social_i_qa": task("lighteval/siqa", social_i_qa, "train", "validation", (33410, 1954),
                        "context question answerA answerB answerC label", ("label", {"1", "2", "3"}), "commonsense", "none stated"),
    "sst2": task("nyu-mll/glue", sst2, "train", "validation", (67349, 872), "sentence label", BINARY, "sentiment", "other", SENTIMENT,
                 config="sst2", phrases=True),
    "twitter_sentiment": task("EleutherAI/twitter-sentiment", twitter_sentiment, "train", "test", (1578627, 10000), "text label", BINARY,
                              "sentiment", "none stated", SENTIMENT),
    "wic": task("aps/super_glue", wic, "train", "validation", (5428, 638), "word sentence1 sentence2 label", BINARY, "word sense", "other",
                config="wic"),
}
