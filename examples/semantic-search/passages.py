"""Licence texts as passages of a length that one embedding can stand for."""
import os
import re

# A paragraph shorter than this, such as a heading, goes with the next one.
WORDS_MIN = 25
WORDS_MAX = 150


def licences(folder):
    """Name and text of each licence; the links that name the newest of a family again are left out."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                yield name, file.read()


def split(text):
    """Paragraphs: headings and other short ones joined with what follows, long ones cut at the ends of sentences."""
    waiting = []
    for paragraph in re.split(r"\n\s*\n", text):
        words = paragraph.split()
        if not any(letter.isalnum() for word in words for letter in word):
            continue
        for piece in _pieces(waiting + words):
            if len(piece) < WORDS_MIN:
                waiting = piece
            else:
                waiting = []
                yield " ".join(piece)
    if waiting:
        yield " ".join(waiting)


def _pieces(words):
    while len(words) > WORDS_MAX:
        cut = next((at for at in range(WORDS_MAX, WORDS_MIN, -1) if words[at - 1].endswith((".", ";"))), WORDS_MAX)
        yield words[:cut]
        words = words[cut:]
    if words:
        yield words


def events(folder):
    """One structured CloudEvent per passage, its key the licence and the passage's number in it."""
    for name, text in licences(folder):
        for number, passage in enumerate(split(text), 1):
            yield {
                "specversion": "1.0", "id": f"{name}#{number}", "source": "/usr/share/common-licenses/" + name,
                "type": "com.example.passage", "key": f"{name}#{number}", "datacontenttype": "application/json",
                # With its licence's name a passage keeps what it is about: "this License" says nothing alone.
                "data": {"text": f"{name}: {passage}", "source": name},
            }
