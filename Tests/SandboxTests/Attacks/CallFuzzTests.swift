import ApusCore
import ApusSandbox
import Glibc
import Testing

extension SandboxTests {
    @Suite("Random system calls")
    struct CallFuzzTests {
        private static let isSoak = getenv("APUS_SOAK") != nil
        /// Seconds for each seed; `make soak` takes many more, and seeds that no run had before.
        private static let seconds = isSoak ? 60 : 4
        private static let seeds: [UInt64] = isSoak ? (0..<8).map { _ in .random(in: 1 ... .max) } : [1, 2]

        @Test("They hurt neither nursery nor server nor neighbour, in any profile of functions", arguments: seeds)
        func callsAtRandom(_ seed: UInt64) async throws {
            print("random system calls: seed \(seed), \(Self.seconds) s")
            try await withLaboratory { laboratory in
                let before = HostState.now(laboratory.nursery.report)
                let neighbour = try await Neighbour(laboratory)
                let bounds = SandboxBounds(memoryBytes: 128 << 20, processes: 32, scratchBytes: 8 << 20, openFiles: 128)
                let words = ["fuzz-calls", "\(seed)", "\(Self.seconds)"]
                let native = try await laboratory.run(laboratory.order(words, bounds: bounds))
                // It may have ended itself, in any way; what it printed, when it did, says that calls were made.
                #expect(native.exit.failedStage == nil && native.exit.code != 2, "\(native)")
                let script = """
                    import ctypes
                    words = [b"probe", b"fuzz-calls", b"\(seed ^ 1)", b"\(Self.seconds)"]
                    ctypes.CDLL("/function/probe.so").main(len(words), (ctypes.c_char_p * 5)(*words))
                    """
                let python = try await laboratory.run(laboratory.order(python: script, bounds: bounds))
                #expect(python.exit.failedStage == nil && python.exit.code != 2, "\(python)")
                let made = [native, python].map { Self.report($0.output) }
                print("random system calls: native \(made[0] ?? "ended"), Python \(made[1] ?? "ended")")
                let count = made.compactMap { $0?.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
                #expect(count.reduce(0, +) > 1_000, "\(native) \(python)")
                let answers = await neighbour.end()
                #expect(answers > 0)
                #expect(HostState.now(laboratory.nursery.report) == before)
                let again = try await laboratory.run(laboratory.order(["read", "/etc/passwd"]))
                #expect(again.firstLine == "ok", "the nursery goes on")
            }
        }

        /// The last line: what calls wrote before it is rubbish.
        private static func report(_ output: String) -> String? {
            output.split(separator: "\n").last { $0.hasPrefix("fuzzed ") }.map(String.init)
        }

        @Test("The fuzzer makes no call outside a sandbox")
        func refusesRoot() {
            #expect(Laboratory.control(["fuzz-calls", "1", "1"]).status != 0)
        }
    }
}
