extension FunctionTemplate {
    var pythonFiles: [File] {
        [
            File(path: "main.py", text: Self.pythonMain),
            File(path: "test_main.py", text: Self.pythonTest),
            File(path: ".apusignore", text: "test_*.py\nREADME.md\n"),
        ]
    }

    private static let pythonMain = """
        def handle(event, context):
            # `data` is parsed JSON when the content type says so, else bytes; None without data.
            name = (event.data or {}).get("name", "world")
            context.log.info("greeting %s", name)
            return {"text": f"Hello, {name}!"}

        """

    private static let pythonTest = """
        import unittest
        from types import SimpleNamespace
        from unittest.mock import Mock

        from main import handle


        class HandleTest(unittest.TestCase):
            def test_greets_by_name(self):
                event = SimpleNamespace(data={"name": "Ada"})
                self.assertEqual(handle(event, Mock()), {"text": "Hello, Ada!"})

            def test_greets_the_world_without_data(self):
                self.assertEqual(handle(SimpleNamespace(data=None), Mock()), {"text": "Hello, world!"})


        if __name__ == "__main__":
            unittest.main()

        """
}
