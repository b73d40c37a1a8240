"""functions/generate-torch against the test double of PyTorch beside this: where its weights are, and that it computes what
functions/generate does. What a GPU takes for it is measured on one (scripts/measure-gpu)."""
import gc
import importlib
import io
import os
import sys
import unittest
from contextlib import redirect_stdout

import layers
from fake_server import FakeServer, Failure, RUNTIME

FOLDER = os.path.join(layers.ROOT, "functions", "generate-torch")
DOUBLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_double")
SIZES = {"WIDTH": "24", "HEADS": "3", "LAYERS": "2"}
OWN = ("main", "model", "weights", "interpreter", "torch")


class Event:
    def __init__(self, **data):
        self.data = {"prompt": "The swift ", "tokens": 12, "stream": False, **data}


@unittest.skipIf(layers.missing_layer(), layers.missing_layer())
class GenerateTorch(unittest.TestCase):
    def setUp(self):
        self.paths, self.environment = list(sys.path), dict(os.environ)
        sys.path[:0] = [FOLDER, DOUBLE, RUNTIME, layers.LAYER]
        os.environ.update(SIZES)
        self.forget()

    def tearDown(self):
        self.forget()
        sys.path[:] = self.paths
        os.environ.clear()
        os.environ.update(self.environment)

    def forget(self):
        for name in [name for name in sys.modules if name in OWN]:
            del sys.modules[name]
        gc.collect()

    def started(self, has_gpu=True):
        self.torch = importlib.import_module("torch")
        self.torch.has_gpu = has_gpu
        main = importlib.import_module("main")
        self.printed = io.StringIO()
        with redirect_stdout(self.printed):
            main.start()
        return main

    def hook(self, hook):
        with redirect_stdout(self.printed):
            hook()
        gc.collect()

    def test_its_weights_leave_the_device_and_come_back(self):
        main = self.started()
        gpu, size = self.torch.gpu, main._weights.bytes
        gc.collect()
        self.assertEqual((self.torch.cuda.memory_allocated(), gpu.pinned), (size, size))
        text = main.generate(Event(), None)["text"]
        for _ in range(3):
            self.hook(main.sleep)
            self.assertEqual(self.torch.cuda.memory_reserved(), 0, "nothing stays on the device, not even for later")
            self.hook(main.wake)
            self.assertEqual(main.generate(Event(), None)["text"], text)
            gc.collect()
            self.assertEqual(self.torch.cuda.memory_allocated(), size, "the weights and nothing else are there")
        self.assertEqual(gpu.pinned, size, "memory is pinned once, not at every wake")
        self.assertIn("awake on cuda: ", self.printed.getvalue())
        self.assertIn(f"{size} bytes", self.printed.getvalue())

    def test_what_changed_on_the_device_is_kept(self):
        main = self.started()
        main._weights.tensors["head"].array[:] = 0
        main._weights.tensors["head"].array[:, ord("q")] = 1
        text = main.generate(Event(), None)["text"]
        self.hook(main.sleep)
        self.hook(main.wake)
        self.assertEqual(main.generate(Event(), None)["text"], text)
        self.assertEqual(main._weights.tensors["head"].array[:, ord("q")].min(), 1)

    def test_without_a_gpu_the_processor_does(self):
        main = self.started(has_gpu=False)
        text = main.generate(Event(), None)["text"]
        self.hook(main.sleep)
        self.hook(main.wake)
        self.assertEqual(main.generate(Event(), None)["text"], text)
        self.assertIn("on cpu", self.printed.getvalue())

    def test_it_computes_what_the_function_in_numpy_does(self):
        import numpy as np

        main = self.started()
        ours = importlib.import_module("model")
        del sys.modules["model"]
        sys.path.insert(0, os.path.join(layers.ROOT, "functions", "generate"))
        theirs = importlib.import_module("model")
        theirs.WIDTH, theirs.HEADS, theirs.LAYERS = ours.WIDTH, ours.HEADS, ours.LAYERS
        reference = theirs.Model({name: tensor.array for name, tensor in main._weights.pinned.items()})
        cache = [([], []) for _ in range(ours.LAYERS)]
        keys, values = ([[] for _ in range(ours.LAYERS)] for _ in range(2))
        for place, byte in enumerate(b"The swift flies"):
            scores = main._model._step(byte, place, cache).array
            state = reference._step(byte, place, keys, values)
            expected = theirs.normal(state) @ reference.weights["head"]
            # Half precision against single.
            self.assertLess(np.abs(scores - expected).max(), 0.05 * np.abs(expected).max())

    def test_chance_follows_its_seed_and_letters_are_streamed(self):
        main = self.started()
        one, same, other = (main.generate(Event(temperature=2, seed=seed), None)["text"] for seed in (1, 1, 2))
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)
        parts = list(main.generate(Event(stream=True, tokens=5), None))
        self.assertEqual([list(part) for part in parts], [["token"]] * 5)
        import apus

        for wrong in ({"prompt": 1}, {"tokens": 0}, {"tokens": 129}, {"tokens": "1"}):
            with self.assertRaises(apus.Reject):
                main.generate(Event(**wrong), None)

    def test_a_real_worker_runs_it_asleep_and_awake(self):
        with FakeServer(None, "main:generate", folder=FOLDER, layer=DOUBLE,
                        environment={"HOME": "/tmp", **SIZES, "PYTHONPATH": layers.LAYER},
                        python=("/usr/bin/python3", "-S", "-B")) as server:
            server.ready()
            server.invoke_json(1, {"prompt": "a", "tokens": 4, "stream": False})
            text = server.result(1).value["text"]
            for hook in ("SLEEP", "WAKE"):
                server.send(hook)
                server.expect(hook)
            server.invoke_json(2, {"prompt": "a", "tokens": 4, "stream": False})
            self.assertEqual(server.result(2).value["text"], text)

    def test_an_interpreter_without_pytorch_is_told_what_to_install(self):
        with FakeServer(None, "main:generate", folder=FOLDER, environment={"HOME": "/tmp", **SIZES}) as server:
            failure = Failure(server.expect("ERROR").payload)
            self.assertIn("PyTorch is not there for /usr/bin/python3", failure.message + failure.detail)


if __name__ == "__main__":
    unittest.main()
