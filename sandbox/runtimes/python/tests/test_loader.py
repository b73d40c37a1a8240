"""How the module of a handler is found: from its file where that is plain to see, as `import` does everywhere else."""
import importlib
import os
import pickle
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from apus import _loader  # noqa: E402

HANDLE = "def handle(event, context):\n    return event\n"


class Loading(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.paths, self.modules = list(sys.path), dict(sys.modules)

    def tearDown(self):
        sys.path[:] = self.paths
        for name in set(sys.modules) - set(self.modules):
            del sys.modules[name]
        sys.modules.update(self.modules)
        _loader.preloaded = frozenset()
        shutil.rmtree(self.folder)

    def load(self, handler, files):
        for name, text in files.items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        importlib.invalidate_caches()
        return _loader.load({"handler": handler, "path": self.folder})

    def test_a_module_from_a_file_is_what_import_makes_of_it(self):
        attributes = ("__name__", "__file__", "__package__", "__doc__")
        text = f'"""What it does."""\nclass Thing:\n    pass\n{HANDLE}'
        module, _ = self.load("plain:handle", {"plain.py": text, "other.py": text})
        other = importlib.import_module("other")
        for name in attributes:
            self.assertEqual(getattr(module, name), getattr(other, name).replace("other", "plain"), name)
        self.assertEqual(
            (module.__spec__.name, module.__spec__.origin, module.__spec__.has_location, type(module.__loader__)),
            ("plain", f"{self.folder}/plain.py", True, type(other.__loader__)))
        self.assertIs(importlib.import_module("plain"), module)
        self.assertIs(type(pickle.loads(pickle.dumps(module.Thing()))), module.Thing)
        self.assertIsNot(importlib.reload(module).Thing, None)

    def test_a_module_that_imports_itself_gets_itself(self):
        module, _ = self.load("plain:handle", {"plain.py": f"import plain\nseen = plain\n{HANDLE}"})
        self.assertIs(module.seen, module)

    def test_a_package_comes_before_a_file_of_its_name(self):
        files = {"thing.py": "wrong = 1\n", "thing/__init__.py": HANDLE}
        self.assertEqual(self.load("thing:handle", files)[0].__file__, f"{self.folder}/thing/__init__.py")

    def test_an_extension_module_comes_before_a_file_of_its_name(self):
        with self.assertRaises(_loader.LoadError) as caught:
            self.load("thing:handle", {"thing.py": HANDLE, "thing.so": "no library", "thing.md": ""})
        self.assertIn("thing.so", str(caught.exception))

    def test_a_module_of_a_package(self):
        files = {"thing/__init__.py": "", "thing/part.py": f"from . import other\n{HANDLE}", "thing/other.py": ""}
        self.assertEqual(self.load("thing.part:handle", files)[0].__package__, "thing")

    def test_one_that_fails_leaves_nothing_behind(self):
        with self.assertRaises(_loader.LoadError) as caught:
            self.load("plain:handle", {"plain.py": "import json\n1 / 0\n"})
        self.assertIn("ZeroDivisionError", str(caught.exception))
        self.assertIn(f'File "{self.folder}/plain.py", line 2', caught.exception.detail)
        self.assertNotIn("_loader", caught.exception.detail)
        self.assertNotIn("plain", sys.modules)

    def test_a_syntax_error_names_its_line(self):
        with self.assertRaises(_loader.LoadError) as caught:
            self.load("plain:handle", {"plain.py": "x = 1\ndef handle(:\n"})
        self.assertIn(f"{self.folder}/plain.py:2: SyntaxError", str(caught.exception))

    def test_an_own_module_wins_over_one_that_a_zygote_had_loaded(self):
        import statistics  # noqa: F401
        import urllib.parse  # noqa: F401

        _loader.preloaded = frozenset({"statistics", "urllib"})
        files = {"statistics.py": HANDLE, "urllib/__init__.py": "", "urllib/parse.py": "own = True\n"}
        module, _ = self.load("statistics:handle", files)
        self.assertEqual(module.__file__, f"{self.folder}/statistics.py")
        self.assertTrue(importlib.import_module("urllib.parse").own)

    def test_one_that_every_worker_has_loaded_stays(self):
        module, _ = self.load("plain:handle", {"plain.py": f"import os\n{HANDLE}", "os.py": "1 / 0\n"})
        self.assertIs(module.os, os)


if __name__ == "__main__":
    unittest.main()
