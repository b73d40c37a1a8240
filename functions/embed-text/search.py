"""Answers questions from the passages whose embeddings a topic holds. The topic is this function's table."""
import apus
import numpy as np
from model import HIDDEN, Model

ANSWERS_DEFAULT = 5
ANSWERS_MAX = 50
PASSAGES_MAX = 100_000

model = Model()


class Index:
    """Vectors of length one as rows of a matrix, and what each stands for. A key has one row; deleted rows are used again."""

    def __init__(self):
        self.vectors = np.zeros((256, HIDDEN), np.float32)
        self.passages = []
        self.rows = {}
        self.free = []

    def put(self, key, text, source, vector):
        vector = np.asarray(vector, np.float32)
        if vector.shape != (HIDDEN,):
            raise ValueError(f"the embedding of {key} has the shape {vector.shape} instead of ({HIDDEN},)")
        row = self.rows.get(key)
        if row is None:
            row = self._row()
            self.rows[key] = row
        self.vectors[row] = vector
        self.passages[row] = (key, text, source)

    def delete(self, key):
        row = self.rows.pop(key, None)
        if row is not None:
            self.vectors[row] = 0
            self.passages[row] = None
            self.free.append(row)

    def nearest(self, vector, count):
        used = len(self.passages)
        scores = self.vectors[:used] @ vector
        answers = []
        for row in np.argsort(-scores)[:count + len(self.free)]:
            if self.passages[row] is not None and len(answers) < count:
                key, text, source = self.passages[row]
                answers.append({"key": key, "source": source, "score": round(float(scores[row]), 4), "text": text})
        return answers

    def _row(self):
        if self.free:
            return self.free.pop()
        row = len(self.passages)
        if row >= PASSAGES_MAX:
            raise ValueError(f"the table has more than {PASSAGES_MAX} passages")
        if row == len(self.vectors):
            self.vectors = np.concatenate((self.vectors, np.zeros_like(self.vectors)))
        self.passages.append(None)
        return row


index = Index()


def search(event, context):
    """Takes in a record of the table, or answers `{"question": ..., "count": 5}` with ranked passages."""
    if event.table:
        data = event.data
        if data is None:
            index.delete(event.key)
        else:
            index.put(event.key, data["text"], data.get("source"), data["vector"])
        return None
    data = event.data
    question = data.get("question") if isinstance(data, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise apus.Reject('expected JSON data like {"question": "What may I do?", "count": 5}')
    count = data.get("count", ANSWERS_DEFAULT)
    if not isinstance(count, int) or not 1 <= count <= ANSWERS_MAX:
        raise apus.Reject(f"count is a number from 1 to {ANSWERS_MAX}, not {count!r}")
    answers = index.nearest(model.embed([question])[0], count)
    return {"question": question, "passages": len(index.rows), "answers": answers}
