"""What the formatters of tasks.py share: a row made tidy, a question asked, two choices in order.

draw(about) is a number in [0, 1) that depends on the seed and on what it is about.
"""

import html.entities
import re

# "R&B", or "?a=1&copy=2" in an address, holds none
ENTITY = re.compile(r"&(#\d+|#x[\da-fA-F]+|\w+);")
REASON = r"(?:because|so|since|as|for)\b"


def answer(draw, context, question, right, wrong, keys, never=None):
    """Asks a question with the right answer or, as likely, one of the wrong ones.

    never  an option whose words give the label away
    """
    wrong = [option for option in wrong if bare(option) not in (bare(right), never)]
    if bare(right) == never or not wrong:
        return None

    # the upper half of the draw shows the right answer, the lower half is shared by the wrong ones
    u = draw(f"{context}|{question}")
    candidate = right if u >= 0.5 else wrong[int(2 * u * len(wrong))]
    text = f'Question: {question}\nIs the answer "{candidate}"?'
    if context:
        text = f"{context}\n\n{text}"
    return {"text": text, "label": int(u >= 0.5), "keys": keys, "candidate": candidate}


def bare(text):
    return text.lower().strip(" .")


def pair(draw, about, right, wrong, keys, form):
    """Puts the right choice first or second, by the draw; form(choice) renders one."""
    label = int(draw(about) >= 0.5)
    choices = [form(wrong), form(right)] if label else [form(right), form(wrong)]
    return {"choices": choices, "label": label, "keys": keys}


def by_letter(choices, letter):
    """The option of {"text": [option, ...], "label": [letter, ...]} that has this letter."""
    return choices["text"][choices["label"].index(letter)]


# --------------------------------------------------------------------------------- parts of texts

def first_sentence(text):
    return re.match(r".*?[.!?](?=\s|$)|.*", text, re.DOTALL)[0]


def before_reason(text):
    """The text up to the reason it gives, four words or more, or all of it."""
    found = re.match(rf"(?:\S+\s+){{4,}}?(?={REASON})", text, re.IGNORECASE)
    return found[0] if found else text


def without_names(text):
    """A tweet without who it is for and what it links to."""
    return re.sub(r"@\w+|https?://\S+", " ", text)


# -------------------------------------------------------------------------------------- tidy text

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
    """The character of an entity that there is; any other stays as it stands."""
    is_known = entity[1].startswith("#") or f"{entity[1]};" in html.entities.html5
    return html.unescape(entity[0]) if is_known else entity[0]


def without_tags(text):
    """Joins what stands between wikiHow's [title], [step] and the like as sentences."""
    *parts, last = [" ".join(part.split()) for part in re.split(r"\[\w+\]", text)]
    sentences = []
    for part in filter(None, parts):
        is_ended = re.search(r"[.!?:;,][\"')]*$", part)
        sentences.append(part if is_ended else f"{part}.")
    return " ".join([*sentences, last]).strip()


def without_numbers(text):
    """Removes MultiRC's marks "Sent 3:", with their tags, and blanks that stand before a comma.

    In answers both are signs of a right one: it was copied from the paragraph.
    """
    text = re.sub(r"</?b>|<br>", " ", text)
    text = re.sub(r"\(Sent \d+\)|\bSent \d+\b:?", " ", text)
    text = " ".join(text.split())
    return re.sub(r" (?=[.,;:!?])", "", text)
