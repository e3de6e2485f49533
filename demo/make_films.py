"""How films.jsonl was made, from the source archive of the vaderSentiment package (Hutto & Gilbert 2014, MIT licence).

    pip download --no-binary :all: --no-deps vaderSentiment==3.3.2
    python demo/make_films.py vaderSentiment-3.3.2.tar.gz

10,605 film review sentences, each rated from -4 to 4 by fifteen people or more. Kept: 4 to 20 words (short ones train in
minutes on a laptop), a mean rating at least 0.5 from 0, one of each text; of these the first 2,000 of each class by hash.
"""

import ast
import hashlib
import io
import json
import re
import sys
import tarfile
from pathlib import Path

archive = tarfile.open(sys.argv[1])
inner = archive.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
with tarfile.open(fileobj=io.BytesIO(inner.read())) as films:
    def lines(name):
        text = films.extractfile(f"hutto_ICWSM_2014/movieReviewSnippets_{name}.txt").read().decode("utf-8")
        return [line.split("\t") for line in text.splitlines()]

    texts = {number: " ".join(text.split()) for number, _, text in lines("GroundTruth")}
    ratings = {number: ast.literal_eval(single) for number, _, _, single in lines("anonDataRatings")}

classes, seen = {0: [], 1: []}, set()
for number in sorted(texts, key=lambda number: hashlib.sha256(number.encode()).digest()):
    mean = sum(ratings[number]) / len(ratings[number])
    key = re.sub(r"\W+", " ", texts[number].lower()).strip()
    if 4 <= len(texts[number].split()) <= 20 and abs(mean) >= 0.5 and key not in seen:
        seen.add(key)
        classes[int(mean > 0)].append(number)

with open(Path(__file__).with_name("films.jsonl"), "w", encoding="utf-8") as out:
    for number in sorted(classes[0][:2000] + classes[1][:2000], key=int):
        row = {"id": f"film{number}", "text": texts[number], "label": int(number in classes[1]), "ratings": ratings[number]}
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
