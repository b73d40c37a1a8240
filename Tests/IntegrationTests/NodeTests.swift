import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Functions in JavaScript, from their deploy to what a caller sees of them.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"),
    .enabled(if: access("/usr/bin/node", X_OK) == 0, "/usr/bin/node is not there: apt install nodejs"))
struct NodeTests {
    private static let triggers = """
        triggers:
            - http: {path: /node, methods: [POST], auth: required}
            - {name: by-name, http: {path: "/node/{name}", methods: [GET], auth: required}}
        """

    private func deploy(
        _ server: TestServer, _ name: String, _ source: String, memory: String = "128Mi", more: String = "",
        package: (name: String, source: String)? = nil
    ) throws {
        let manifest = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: \(name)}
            spec:
              runtime: node
              handler: main:handle
              resources: {memory: \(memory), processes: 16}
              \(more)
            """
        var files = ["main.mjs": source]
        if let package {
            // The folders come first: files are written where they are.
            for folder in ["", "/node_modules", "/node_modules/\(package.name)"] {
                mkdir("\(server.folder)/\(name)\(folder)", 0o755)
            }
            files["node_modules/\(package.name)/index.js"] = package.source
        }
        server.deploy(try server.write(name, manifest: manifest, files: files))
    }

    @Test func aFunctionAnswersCallsRequestsAndStreams() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(
            server, "greet",
            """
            import { Response } from "apus";
            import { upper } from "upper";

            export async function* parts(count) {
              for (let n = 0; n < count; n++) {
                yield { n };
                await new Promise((resolve) => setTimeout(resolve, 1));
              }
            }

            export async function handle(event, context) {
              console.log("printed %d", 7);
              context.log.info("told %s", event.data?.name);
              if (event.data?.parts) return parts(event.data.parts);
              if (event.http === null) return { text: upper(event.data.name) };
              return new Response(`hello ${event.http.params.name ?? event.data.name}`, { status: 201, headers: { "X-Node": "yes" } });
            }
            """,
            memory: "64Mi", more: Self.triggers,
            package: ("upper", "exports.upper = (text) => text.toUpperCase();\n"))
        let direct = server.apus("invoke", "greet", "--data", #"{"name": "ada"}"#)
        #expect(direct.output == #"{"text":"ADA"}"#, "\(direct.errors)")
        let streamed = server.apus("invoke", "greet", "--data", #"{"parts": 3}"#)
        #expect(streamed.output == "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n", "\(streamed.output)\(streamed.errors)")
        let caller = try Caller(server)
        let posted = try caller.send(
            "POST", "/fn/node", ["Content-Type": "application/json"], body: #"{"name": "Ada"}"#)
        #expect(
            posted.status == 201 && posted.text == "hello Ada" && posted.header("X-Node") == "yes", "\(posted.text)")
        let gotten = try caller.send("GET", "/fn/node/Gr%C3%A4ce")
        #expect(
            gotten.text == "hello Gräce" && gotten.header("Content-Type") == "text/plain; charset=utf-8",
            "\(gotten.text)")
        // A line that was printed names its invocation as one that was logged does.
        let isLogged = waitUntil(seconds: 20) {
            let lines = server.apus("logs", "greet", "--output", "json").output.split(separator: "\n")
            return ["printed 7", "told ada"].allSatisfy { text in
                lines.contains { $0.contains(text) && $0.contains("\"invocation\"") }
            }
        }
        #expect(isLogged, "\(server.apus("logs", "greet", "--output", "json").output)")
        // 16 MiB come in DATA frames: nothing that Node cannot receive is sent.
        try self.deploy(server, "size", "export const handle = (event) => event.data.length;", memory: "256Mi")
        let large = server.apus(
            "invoke", "size", "--data", "-", "--content-type", "text/plain",
            input: String(repeating: "x", count: 900_000))
        #expect(large.output == "900000", "\(large.errors)")
    }

    @Test func whatFailsSaysWhereAndWhatTakesTooLongOrTooMuchEnds() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(
            server, "fail",
            """
            import { Reject } from "apus";

            function deep() {
              throw new TypeError("not today");
            }

            export async function handle(event, context) {
              const what = event.data.what;
              if (what === "throw") deep();
              if (what === "reject") throw new Reject("never");
              if (what === "hang") await new Promise(() => {});
              if (what === "spin") while (true);
              if (what === "signal") await new Promise((_, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason)));
              const all = [];
              while (what === "heap") all.push(new Array(1000).fill({}));
              while (what === "buffers") all.push(Buffer.alloc(1 << 20, 1));
              return "fine";
            }
            """, memory: "96Mi", more: "timeout: 1s")
        func invoke(_ what: String) -> TestServer.CommandResult {
            server.apus("invoke", "fail", "--data", "{\"what\": \"\(what)\"}")
        }
        let thrown = invoke("throw")
        #expect(thrown.status != 0 && thrown.errors.contains("TypeError: not today"), "\(thrown.errors)")
        let isLogged = waitUntil(seconds: 20) {
            let text = server.apus("logs", "fail").output
            return text.contains("at deep (file:///function/main.mjs:4:9)") && !text.contains("/runtime/apus")
        }
        #expect(isLogged, "\(server.apus("logs", "fail").output)")
        #expect(invoke("reject").errors.contains("function_rejected"))
        for what in ["hang", "spin", "signal"] {
            let late = invoke(what)
            #expect(late.errors.contains("deadline_exceeded"), "\(what): \(late.errors)")
        }
        for what in ["heap", "buffers"] {
            let full = invoke(what)
            #expect(full.errors.contains("memory_exceeded"), "\(what): \(full.errors)")
        }
        #expect(invoke("nothing").output == "\"fine\"")
    }

    @Test func aFunctionThatCannotBeLoadedSaysWhatToChange() throws {
        let server = try TestServer()
        try server.start()
        let manifest =
            "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: broken}\nspec: {runtime: node, handler: main:handle}\n"
        let folder = try server.write(
            "broken", manifest: manifest, files: ["main.mjs": "import 'left-pad';\nexport const handle = () => 1;\n"])
        let result = server.apus("deploy", folder, "--wait")
        #expect(result.status != 0 && result.errors.contains("imports 'left-pad'"), "\(result.errors)")
        #expect(result.errors.contains("npm install --omit=dev"), "\(result.errors)")
    }
}
