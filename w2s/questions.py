"""What the formatters of tasks.py share: a row made tidy, a question asked, choices in order.

draw(about) is a number in [0, 1) that depends on the seed and on what it is about.
"""

import html.entities
import re
from typing import NamedTuple

# "R&B", or "?a=1&copy=2" in an address, holds none
ENTITY = re.compile(r"&(#\d+|#x[\da-fA-F]+|\w+);")
REASON = r"(?:because|so|since|as|for)\b"


class Question(NamedTuple):
    """A question, its right answer, and all answers to choose from, the right one among them.

    never  an option whose words would give the label away, if it was shown alone
    """

    context: str
    question: str
    right: str
    options: list
    keys: list
    never: str = None

    def binary(self, draw):
        """Asks of the right answer or, as likely, of one of the wrong ones, whether it is right."""
        out = bare(self.right), self.never
        wrong = [option for option in self.options if bare(option) not in out]
        if bare(self.right) == self.never or not wrong:
            return None

        # the upper half of the draw shows the right answer, the lower half is shared by wrong ones
        u = draw(f"{self.context}|{self.question}")
        candidate = self.right if u >= 0.5 else wrong[int(2 * u * len(wrong))]
        return {"text": self.render(candidate), "label": int(u >= 0.5), "keys": self.keys,
                "candidate": candidate}

    def choices(self, draw):
        """All answers, in an order that is drawn; None where two of them are the same."""
        def place(option):
            return draw(f"{self.context}|{self.question}|{option}")

        if len({*map(bare, self.options)}) < len(self.options):
            return None
        options = sorted(self.options, key=place)
        label = options.index(self.right)
        return {"choices": [*map(self.render, options)], "label": label, "keys": self.keys}

    def render(self, candidate):
        text = f'Question: {self.question}\nIs the answer "{candidate}"?'
        return f"{self.context}\n\n{text}" if self.context else text


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
