"""What of scripts/measure-gpu needs no server: sizes, manifests and the page. The whole is run on a declared device by the integration tests."""
import importlib.machinery
import importlib.util
import os
import unittest

import layers

PATH = os.path.join(layers.ROOT, "scripts", "measure-gpu")
LOADER = importlib.machinery.SourceFileLoader("measure_gpu", PATH)
measure = importlib.util.module_from_spec(importlib.util.spec_from_loader("measure_gpu", LOADER))
LOADER.exec_module(measure)

DEVICE = {"id": "GPU-1", "name": "NVIDIA H100 80GB HBM3", "kind": "h100", "simulated": False, "driver": "550.54.15",
          "memory": {"capacity": 80 << 30}, "links": {"hostToDevice": 63_000_000_000}}


class MeasureGPU(unittest.TestCase):
    def test_the_weights_are_as_large_as_asked_for(self):
        for gigabytes in (1, 8, 16, 64):
            size = measure.width(gigabytes)
            self.assertEqual(size % measure.HEADS, 0)
            self.assertAlmostEqual(24 * size * size * measure.LAYERS / 1e9 / gigabytes, 1, delta=0.15)

    def test_a_real_device_gets_the_function_on_pytorch_and_room_for_it(self):
        text = measure.manifest(DEVICE, 8, "/tmp")
        self.assertIn("/functions/generate-torch\n", text)
        self.assertIn("kind: h100", text)
        size = measure.width(8)
        self.assertIn(f'WIDTH: "{size}"', text)
        self.assertGreater(int(text.split("gpu: {memory: ")[1].split("Mi")[0]) << 20, 24 * size * size * measure.LAYERS)
        self.assertIn("/functions/generate\n", measure.manifest({**DEVICE, "simulated": True}, 8, "/tmp"))

    def test_the_page_tells_what_was_measured_beside_its_floor(self):
        spans = {"cold": [12.0, 14.0, 13.0], "wake": [0.5], "warm call": [0.02]}
        copies = {"awake": [(0.2, 8_000_000_000)], "asleep": [(0.4, 8_000_000_000)]}
        floor = {"toDevice": [0.16, 0.15, 0.17], "toHost": [0.2], "context": 0.4, "import": 1.8, "pin": 3.0, "torch": "2.9.1", "cuda": "12.8"}
        text = measure.page(DEVICE, spans, {"awake": 9_000_000_000, "asleep": 600_000_000, "gone": 0}, copies, floor)
        for line in ("# NVIDIA H100 80GB HBM3\n", "| driver | 550.54.15 |", "| cold start | 13.000 | 12.000 | 14.000 | 3 |",
                     "| floor: the same bytes to the device | 0.160 | 0.150 | 0.170 | 3 |", "| asleep | 600 MB |",
                     "8.00 GB of weights reach the device at 40.0 GB/s, 1.25 times the floor."):
            self.assertIn(line, text)
        self.assertNotIn("simulated say", text)
        self.assertNotIn("(simulated)", text)

    def test_what_the_function_says_of_its_copies_is_read(self):
        said = "x  stdout  awake on cuda: 0.1234 s, 1000 bytes, 0.01 GB/s\nx  stdout  asleep on cuda: 0.5000 s, 1000 bytes, 0.00 GB/s\n"
        self.assertEqual(measure.moved(lambda *_: said), {"awake": [(0.1234, 1000)], "asleep": [(0.5, 1000)]})


if __name__ == "__main__":
    unittest.main()
