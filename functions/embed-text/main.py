"""Turns texts into sentence embeddings, a batch at a time."""
import apus
from model import Model

TEXT_BYTES_MAX = 256 * 1024
model = Model()


def embed(events, context):
    """For each event `{"text": ..., "source": ...}` an event with the same key and `{"text", "source", "vector"}`."""
    results = [_text(event) for event in events]
    texts = [(place, text) for place, text in enumerate(results) if isinstance(text, str)]
    if texts:
        # Seven decimals keep what float32 holds and make a third of the JSON that all its digits would.
        vectors = model.embed([text for _, text in texts]).astype("float64").round(7)
        for (place, text), vector in zip(texts, vectors):
            results[place] = _embedding(events[place], text, vector.tolist())
    return results


def _text(event):
    """The text of an event, or what is wrong with it: one bad event must not fail its batch."""
    try:
        data = event.data
    except apus.InvalidData as error:
        return error
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str):
        return apus.Reject('expected JSON data like {"text": "what to embed"} with datacontenttype application/json')
    if len(text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
        return apus.Reject(f"the text has more than {TEXT_BYTES_MAX} bytes; the model looks at its first 256 tokens only")
    return text


def _embedding(event, text, vector):
    data = {"text": text, "vector": vector}
    if "source" in event.data:
        data["source"] = event.data["source"]
    return apus.Event(data, key=event.key, type="dev.apus.embedding")
