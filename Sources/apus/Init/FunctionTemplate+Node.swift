extension FunctionTemplate {
    var nodeFiles: [File] {
        [
            File(path: "main.mjs", text: Self.nodeMain),
            File(path: "main.test.mjs", text: Self.nodeTest),
            File(path: ".apusignore", text: "*.test.mjs\nREADME.md\n"),
        ]
    }

    private static let nodeMain = """
        export async function handle(event, context) {
          // `data` is parsed JSON when the content type says so, else a Buffer; null without data.
          const name = event.data?.name ?? "world";
          context.log.info("greeting %s", name);
          return { text: `Hello, ${name}!` };
        }

        """

    private static let nodeTest = """
        import assert from "node:assert/strict";
        import { test } from "node:test";
        import { handle } from "./main.mjs";

        const context = { log: { info() {} } };

        test("greets by name", async () => {
          assert.deepEqual(await handle({ data: { name: "Ada" } }, context), { text: "Hello, Ada!" });
        });

        test("greets the world without data", async () => {
          assert.deepEqual(await handle({ data: null }, context), { text: "Hello, world!" });
        });

        """
}
