"""Accuracy and speed of embed-text's model on one core.

    /usr/bin/python3 sandbox/runtimes/python/tests/measure_embedding.py [--json]

The packages come from the layer that layers.py names. Settings of the matrix library that a machine may have in its environment
are removed: a sandbox does not have them.
"""
import json
import os
import statistics
import sys
import time

import layers

SETTINGS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def median(action, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    if any(name in os.environ for name in SETTINGS):
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        os.execve(sys.executable, [sys.executable, *sys.argv], clean)
    if reason := layers.missing_layer():
        sys.exit(reason)
    sys.path[:0] = [layers.EMBED_TEXT, layers.LAYER]
    start = time.perf_counter()
    from model import Model

    model = Model()
    figures = {"load_ms": round((time.perf_counter() - start) * 1e3, 1)}
    short = ["The quick brown fox jumps over the lazy dog.", "Interest rates rose by a quarter of a percentage point."] * 8
    long = ["Swifts spend most of their lives in the air, even sleeping on the wing. " * 6] * 16
    figures["one_ms"] = round(median(lambda: model.embed(short[:1]), 50) * 1e3, 2)
    figures["batch16_texts_per_s"] = round(16 / median(lambda: model.embed(short), 20))
    figures["batch16_passages_per_s"] = round(16 / median(lambda: model.embed(long), 5))
    if os.path.exists(layers.GOLDEN):
        import numpy as np

        with open(layers.GOLDEN) as file:
            golden = json.load(file)
        wanted = np.asarray(golden["embeddings"], "float64")
        got = model.embed(golden["texts"]).astype("float64").round(7)
        cosine = (wanted * got).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(got, axis=1)
        figures["cosine_min"] = float(cosine.min())
    print(json.dumps(figures) if "--json" in sys.argv else "\n".join(f"{name:24} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
