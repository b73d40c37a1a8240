import ApusCore
import Glibc
import Testing

extension SandboxTests {
    @Suite(
        "Node in a sandbox",
        .enabled(if: access("/usr/bin/node", X_OK) == 0, "/usr/bin/node is not there: apt install nodejs"))
    struct NodeTests {
        private func run(_ snippet: String, bounds: SandboxBounds = SandboxBounds()) async throws -> Laboratory.Ending {
            guard let laboratory = Laboratory.shared else {
                throw ApusError(.sandboxUnavailable, "the nursery did not start")
            }
            return try await laboratory.run(laboratory.order(node: snippet, bounds: bounds))
        }

        @Test("Ordinary code works: timers, files, hashes, compression, threads, WebAssembly, locales, imports")
        func ordinaryCode() async throws {
            let ending = try await self.run(
                """
                const fs = require('fs'), assert = require('assert');
                await new Promise((resolve) => setTimeout(resolve, 1));
                await fs.promises.writeFile('/tmp/x', 'x'); assert.equal(fs.readFileSync('/tmp/x', 'utf8'), 'x');
                assert.equal(require('crypto').createHash('sha256').update('x').digest('hex').length, 64);
                await require('util').promisify(require('crypto').scrypt)('a', 'b', 32);
                assert.equal(require('zlib').gunzipSync(require('zlib').gzipSync('abc')).toString(), 'abc');
                assert.equal(require('zlib').brotliDecompressSync(require('zlib').brotliCompressSync('abc')).toString(), 'abc');
                const { Worker } = require('worker_threads');
                assert.equal(await new Promise((resolve) => new Worker(
                  "require('worker_threads').parentPort.postMessage(7)", { eval: true }).on('message', resolve)), 7);
                assert.ok(new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])));
                assert.equal(new Intl.NumberFormat('de').format(1234.5), '1.234,5');
                assert.equal(new Date(0).toLocaleString('en', { timeZone: 'Europe/Berlin', hour12: false, hour: '2-digit' }), '01');
                assert.equal(structuredClone({ a: 1 }).a, 1);
                let sum = 0; for (let n = 0; n < 1e7; n++) sum += n % 7; assert.ok(sum > 0);
                console.log(process.cwd(), process.env.HOME, process.execPath, process.getuid() > 1000000);
                """)
            #expect(ending.output == "/function /tmp /usr/bin/node true\n", "\(ending.output)\(ending.errors)")
            #expect(ending.exit == WorkerExit(code: 0, signal: nil))
        }

        @Test(
            "Code cannot read accounts, connect, or start programs",
            arguments: [
                ("fs.readFileSync('/etc/shadow')", "ENOENT"),
                ("fs.readFileSync('/usr/bin/python3')", "ENOENT"),
                ("fs.readdirSync('/root')", "ENOENT"),
                ("fs.readFileSync('/proc/1/../../etc/shadow')", "ENOENT"),
                ("fs.writeFileSync('/function/x', '')", "EROFS"),
                ("fs.writeFileSync('/usr/bin/x', '')", "EROFS"),
                ("fs.writeFileSync('/runtime/apus/main.js', '')", "EROFS"),
                ("process.setuid(0)", "EPERM"),
                ("process.kill(9999, 9)", "ESRCH"),
                ("require('child_process').execFileSync('/usr/bin/node')", "EPERM"),
                ("require('child_process').execSync('true')", "EPERM"),
                ("require('child_process').fork('/runtime/apus/main.js'); await new Promise(() => {})", "EPERM"),
                (
                    "new (require('worker_threads').Worker)('process.exit(require(\"child_process\").spawnSync(\"/usr/bin/node\")"
                        + ".error.errno)', {eval: true}).on('exit', (code) => console.log(code))", "-1"
                ),
                (
                    "await new Promise((_, no) => require('net').connect(1, '127.0.0.1').on('error', no))",
                    "EAFNOSUPPORT"
                ),
                ("await new Promise((_, no) => require('net').connect('/tmp/s').on('error', no))", "EAFNOSUPPORT"),
                (
                    "await new Promise((_, no) => require('net').createServer().on('error', no).listen(0))",
                    "EAFNOSUPPORT"
                ),
                ("await require('dns').promises.lookup('example.com')", "ENOTFOUND"),
                ("await fetch('http://169.254.169.254/')", "TypeError"),
            ])
        func refuses(_ expression: String, _ error: String) async throws {
            let ending = try await self.run("const fs = require('fs');\n\(expression);\nconsole.log('worked');")
            // What a worker thread prints comes before what its parent says.
            #expect(ending.output.hasPrefix("\(error)\n") || ending.output.hasSuffix("\n\(error)\n"), "\(ending)")
        }

        @Test("The root has Node, its libraries and the runtime, and no other program")
        func rootIsSmall() async throws {
            let ending = try await self.run(
                """
                const fs = require('fs');
                console.log(fs.readdirSync('/usr/bin').join(), fs.readdirSync('/').sort().join());
                """)
            let words = ending.output.split(whereSeparator: { $0.isWhitespace })
            #expect(words.first == "node", "\(ending.output)\(ending.errors)")
            #expect(words.last?.contains("node_modules") == true && words.last?.contains("root") == false)
        }

        @Test("Memory is bounded: V8's heap by its own limit, buffers by the sandbox's")
        func memory() async throws {
            let bounds = SandboxBounds(memoryBytes: 96 << 20, processes: 16)
            let heap = try await self.run(
                "const all = []; while (true) all.push(new Array(1000).fill({}));", bounds: bounds)
            #expect(heap.exit.signal != nil && heap.errors.contains("JavaScript heap out of memory"), "\(heap.errors)")
            let buffers = try await self.run(
                "const all = []; while (true) all.push(Buffer.alloc(1 << 20, 1));", bounds: bounds)
            #expect(buffers.exit.isOutOfMemory, "\(buffers)")
            // What can be collected is collected in time.
            let garbage = try await self.run(
                "let last; for (let n = 0; n < 100_000; n++) last = new Array(1000).fill(n); console.log(last.length)",
                bounds: bounds)
            #expect(garbage.output == "1000\n", "\(garbage)")
        }

        @Test("Hostile code runs without a compiler: its memory can never become executable")
        func hostile() async throws {
            guard let laboratory = Laboratory.shared else {
                throw ApusError(.sandboxUnavailable, "the nursery did not start")
            }
            var order = laboratory.order(
                node:
                    "let n = 0; for (let m = 0; m < 1e6; m++) n += m % 7; console.log(n, typeof WebAssembly, /a+/.test('aa'));"
            )
            let standard = try await laboratory.run(order)
            #expect(standard.output == "2999997 object true\n", "\(standard)")
            order.isolation = .hostile
            let hostile = try await laboratory.run(order)
            #expect(hostile.output == "2999997 undefined true\n", "\(hostile)")
            #expect(hostile.errors.isEmpty, "\(hostile.errors)")
        }

        @Test("It starts with the least that a manifest may give it")
        func leastBounds() async throws {
            let ending = try await self.run(
                "await fetch('data:,x'); require('zlib').gzipSync('x'); console.log('started')",
                bounds: SandboxBounds(memoryBytes: 64 << 20, processes: 16))
            #expect(ending.output == "started\n", "\(ending)")
        }
    }
}
