import ApusCore
import ApusSandbox
import Testing

/// A kind of sandbox that attempts are made in. A further kind is a case here and what runs the probe in it.
enum AttackProfile: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case native, python, exec, build, fetch
    /// A Python function that asked for every layer there is.
    case hostile
    /// A Python function in a clone of a warm interpreter.
    case clone
    /// A Python function with a device.
    case gpu
    case node
    /// A program of one's own with a way out, to nothing.
    case proxied

    static let all = Set(AttackProfile.allCases)
    /// Those in which code may start no program.
    static let withoutPrograms: Set<AttackProfile> = [.native, .python, .hostile, .clone, .gpu, .node, .proxied]
    /// Those that make no socket.
    static let withoutNetwork: Set<AttackProfile> = [
        .native, .python, .exec, .build, .hostile, .clone, .gpu, .node,
    ]
    /// Those that run events, not installations.
    static let functions: Set<AttackProfile> = [.native, .python, .exec, .hostile, .clone, .gpu, .node, .proxied]

    var testDescription: String { self.rawValue }

    struct Run: Sendable {
        var output: String
        var errors: String
        var exit: WorkerExit
    }

    /// Runs `probe batch LIST /tmp` in a sandbox of this kind; LIST is a path inside it.
    func run(_ list: String, in laboratory: Laboratory, bounds: SandboxBounds) async throws -> Run {
        switch self {
        case .native, .proxied:
            var order = laboratory.order(["batch", list, "/tmp"], bounds: bounds)
            order.hasProxy = self == .proxied
            return try await self.run(order, in: laboratory)
        case .python, .hostile, .gpu, .clone:
            let snippet = """
                import ctypes
                words = [b"probe", b"batch", b"\(list)", b"/tmp"]
                ctypes.CDLL("/function/probe.so").main(len(words), (ctypes.c_char_p * 5)(*words))
                """
            if self == .clone { return try await self.clone(snippet, in: laboratory, bounds: bounds) }
            var order = laboratory.order(python: snippet, bounds: bounds)
            order.isolation = self == .hostile ? .hostile : .standard
            order.gpus = self == .gpu ? [0] : []
            return try await self.run(order, in: laboratory)
        case .node:
            // What a native module of a bundle does when it is loaded.
            var order = laboratory.order(node: "process.dlopen({ exports: {} }, '/function/probe.so')", bounds: bounds)
            order.environment.append("PROBE_LIST=\(list)")
            return try await self.run(order, in: laboratory)
        case .exec: return try await self.command("/function/probe batch \(list) /tmp", in: laboratory, bounds: bounds)
        case .build:
            return try await self.install(.build, ["install", "--target", "/out/site"], list, laboratory, bounds)
        case .fetch:
            return try await self.install(.fetch, ["download", "--dest", "/out/wheels"], list, laboratory, bounds)
        }
    }

    private func run(_ order: LaunchOrder, in laboratory: Laboratory) async throws -> Run {
        let ending = try await laboratory.run(order)
        return Run(output: ending.output, errors: ending.errors, exit: ending.exit)
    }

    /// The first launches may come before the warm interpreter is there: those execute one, and say so.
    private func clone(_ snippet: String, in laboratory: Laboratory, bounds: SandboxBounds) async throws -> Run {
        var order = laboratory.order(python: "print(globals().get('is_clone', False))", bounds: bounds)
        order.isClone = true
        for _ in 0..<1_000 {
            if try await laboratory.run(order).output == "True\n" { break }
        }
        order.environment = laboratory.order(python: "assert is_clone\n" + snippet).environment
        return try await self.run(order, in: laboratory)
    }

    private func command(_ command: String, in laboratory: Laboratory, bounds: SandboxBounds) async throws -> Run {
        let worker = try await laboratory.launch(
            LaunchOrder(runtime: .exec, bundle: Laboratory.bundle, bounds: bounds))
        defer { Laboratory.close(worker) }
        var run = Run(output: "", errors: "", exit: WorkerExit(code: nil, signal: nil))
        do {
            let session = try ExecSession(worker)
            let answer = try session.call(command, "")
            session.drain()
            run.output = answer.text
            run.errors = answer.detail
        } catch {
            // An attempt may have ended the whole sandbox; its exit says so.
            run.errors = "\(error)"
        }
        run.exit = await laboratory.exit(of: worker)
        return run
    }

    /// As the server has pip install a package, whose build then is what attacks.
    private func install(
        _ runtime: LaunchOrder.Runtime, _ step: [String], _ list: String, _ laboratory: Laboratory,
        _ bounds: SandboxBounds
    ) async throws -> Run {
        let layer = String(repeating: self == .build ? "ab" : "fe", count: 32)
        try await laboratory.prepare(layer)
        let order = LaunchOrder(
            runtime: runtime, bundle: Laboratory.bundle, layer: layer,
            arguments: Laboratory.pipArguments(step) + ["/function/hostile"],
            environment: ["ATTACK=batch", "ATTACK_LIST=\(list)"], bounds: bounds)
        var run = try await self.run(order, in: laboratory)
        run.output = TestFiles.read("\(laboratory.data)/layers/\(layer).partial/attacks") ?? ""
        try await laboratory.discard(layer)
        return run
    }
}
