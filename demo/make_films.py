"""How films.jsonl was made, from the source archive of the vaderSentiment package (Hutto & Gilbert
2014, MIT licence).

    pip download --no-binary :all: --no-deps vaderSentiment==3.3.2
    python demo/make_films.py vaderSentiment-3.3.2.tar.gz

10,605 film review sentences, each rated from -4 to 4 by fifteen people or more. Kept: 4 to 20 words
(short ones train in minutes on a laptop), a mean rating at least 0.5 from 0, one of each text; of
these the first 2,000 of each class by hash.
"""

import ast
import hashlib
import io
import json
import re
import sys
import tarfile
from pathlib import Path


def lines(films, name):
    """The cells of each line of one of the archive's tables."""
    file = films.extractfile(f"hutto_ICWSM_2014/movieReviewSnippets_{name}.txt")
    return [line.split("\t") for line in file.read().decode("utf-8").splitlines()]


def by_hash(number):
    return hashlib.sha256(number.encode()).digest()


# texts and ratings, by the number of the sentence
archive = tarfile.open(sys.argv[1])
inner = archive.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
texts, ratings = {}, {}
with tarfile.open(fileobj=io.BytesIO(inner.read())) as films:
    for number, _, text in lines(films, "GroundTruth"):
        texts[number] = " ".join(text.split())
    for number, _, _, single in lines(films, "anonDataRatings"):
        ratings[number] = ast.literal_eval(single)

# short sentences whose class is clear, each text once
classes, seen = {0: [], 1: []}, set()
for number in sorted(texts, key=by_hash):
    text = texts[number]
    mean = sum(ratings[number]) / len(ratings[number])
    words_only = re.sub(r"\W+", " ", text.lower()).strip()
    if 4 <= len(text.split()) <= 20 and abs(mean) >= 0.5 and words_only not in seen:
        seen.add(words_only)
        classes[int(mean > 0)].append(number)

with open(Path(__file__).with_name("films.jsonl"), "w", encoding="utf-8") as out:
    for number in sorted(classes[0][:2000] + classes[1][:2000], key=int):
        row = {
            "id": f"film{number}",
            "text": texts[number],
            "label": int(number in classes[1]),
            "ratings": ratings[number],
        }
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
