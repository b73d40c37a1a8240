internal import ApusCore
internal import ApusLoop
internal import ApusSandbox
internal import Glibc

/// How long a sandbox takes. `hit`: a worker that waits ready is invoked, until its result. `miss`: one is cloned from the
/// zygote first. `cold`: the interpreter is executed first. `reuse`: the same worker again. How many fresh sandboxes are made,
/// used and ended in a second, what one that waits takes of memory, and how long a kill takes until the sandbox is verified
/// empty. `function_zygote`: a call is forked from its function's own zygote until it is ready; `_hit`: it waited, and is
/// invoked. `numpy_zygote`: the same of a function that imports numpy. `node_hit`: a worker for JavaScript that has booted is invoked, for
/// the first and only time. Beside it a fork of the same warm interpreter without any isolation. Needs root.
enum SandboxBench {
    /// Sandboxes that are being made at once while the rate is measured.
    static let inFlight = 8
    private static let warmUps = 40

    static func run(_ options: BenchOptions) throws -> BenchReport {
        let launches = try options.number("launches", default: 40)
        let creations = try options.number("creations", default: 400)
        let site = try SandboxBenchSite(directory: options.directory)
        defer { site.close() }
        let floor = try SandboxBenchFloor(runtime: site.runtime, function: site.function)
        defer { floor.close() }
        var cold = Figure("cold_p50", unit: "us")
        var native = Figure("native_cold_p50", unit: "us")
        var hello = Figure("hello_p50", unit: "us")
        var rate = Figure("native_create_rate", unit: "1/s")
        var kill = Figure("kill_p99", unit: "us")
        // The first launch makes the slot's control groups and faults the interpreter in.
        _ = try site.coldStart()
        // The zygote gets the time that the warm interpreter of the floor had.
        for _ in 0..<self.warmUps { _ = try site.coldStart(isClone: true) }
        var hit = Figure("hit_p50", unit: "us")
        var hitSlow = Figure("hit_p99", unit: "us")
        var miss = Figure("miss_p50", unit: "us")
        var reuse = Figure("reuse_p50", unit: "us")
        var idle = Figure("idle_private", unit: "bytes")
        var fresh = Figure("create_rate", unit: "1/s")
        var forkReady = Figure("function_zygote_p50", unit: "us")
        var forkHit = Figure("function_zygote_hit_p50", unit: "us")
        var numpy = Figure("numpy_zygote_p50", unit: "us")
        // What this machine may lack, and the figure is left out without.
        var bwrap = Figure("bwrap_p50", unit: "us")
        var node = Figure("node_hit_p50", unit: "us")
        let packages = options.others["numpy"]
        if let packages { try site.addNumpy(packages) }
        let hasBubblewrap = SandboxBenchBubblewrap.isInstalled
        let hasNode = access("/usr/bin/node", X_OK) == 0
        for _ in 0..<options.rounds {
            var floors: [Double] = []
            var colds: [Double] = []
            var hellos: [Double] = []
            var kills: [Double] = []
            var misses: [Double] = []
            var hits: [Double] = []
            var wrapped: [Double] = []
            for _ in 0..<launches {
                floors.append(try floor.forkToFirstByte())
                let start = try site.coldStart()
                colds.append(start.result)
                hellos.append(start.hello)
                let clone = try site.coldStart(isClone: true)
                misses.append(clone.result)
                let ready = try site.invokeReady()
                hits += ready.calls
                kills += [start.kill, clone.kill, ready.kill]
                if hasBubblewrap { wrapped.append(try SandboxBenchBubblewrap.run()) }
            }
            let base = percentile(50, of: floors)
            cold.add(percentile(50, of: colds), floor: base)
            hello.add(percentile(50, of: hellos), floor: base)
            kill.add(percentile(99, of: kills))
            hit.add(percentile(50, of: hits), floor: base)
            hitSlow.add(percentile(99, of: hits), floor: base)
            miss.add(percentile(50, of: misses), floor: base)
            let again = try site.invokeReady(calls: launches + 10).calls.dropFirst(10)
            reuse.add(percentile(50, of: Array(again)), floor: base)
            idle.add(try site.idlePrivate(self.inFlight))
            fresh.add(try site.freshRate(creations, inFlight: self.inFlight))
            if hasBubblewrap { bwrap.add(percentile(50, of: wrapped), floor: base) }
            if hasNode {
                // A worker takes long to boot, which is not what is measured.
                let calls = try (0..<launches / 2).flatMap { _ in try site.invokeReady(.node).calls }
                node.add(percentile(50, of: calls), floor: base)
            }
            let forks = try site.forks(launches)
            forkReady.add(percentile(50, of: forks.ready), floor: base)
            forkHit.add(percentile(50, of: forks.hit), floor: base)
            if packages != nil { numpy.add(percentile(50, of: try site.forks(launches, isNumpy: true).ready), floor: base) }
            native.add(percentile(50, of: try (0..<launches).map { _ in try site.runNative() }), floor: base)
            rate.add(try site.createRate(creations, inFlight: self.inFlight))
        }
        var figures = [hit, hitSlow, miss, reuse, cold, hello, native, fresh, rate, idle, kill, forkReady, forkHit]
        for (figure, isThere, program) in [(bwrap, hasBubblewrap, "bwrap"), (node, hasNode, "node")] {
            if isThere { figures.append(figure) } else { Self.leaveOut(figure.name, program) }
        }
        if packages != nil { figures.append(numpy) } else { Self.leaveOut(numpy.name, "numpy, which --numpy names,") }
        return BenchReport("sandbox", figures)
    }

    private static func leaveOut(_ figure: String, _ program: String) {
        let text = Array("\(figure) is left out: \(program) is not installed\n".utf8)
        _ = write(STDERR_FILENO, text, text.count)
    }
}

/// A warm interpreter that has imported the runtime and the function, and forks for each byte it is sent.
final class SandboxBenchFloor {
    private let process: pid_t
    private let input: CInt
    private let output: CInt

    init(runtime: String, function: String) throws {
        let script = """
            import sys, os, json
            sys.path[:0] = [\(quotedPython(runtime)), \(quotedPython(function))]
            import apus, main
            while os.read(0, 1):
                child = os.fork()
                if child == 0:
                    os.write(1, json.dumps(main.echo({"text": "x"}, None)).encode()[:1])
                    os._exit(0)
                os.waitpid(child, 0)
            """
        var into: (CInt, CInt) = (-1, -1)
        var out: (CInt, CInt) = (-1, -1)
        try SandboxBenchFloor.pipe(&into)
        try SandboxBenchFloor.pipe(&out)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, into.0, 0)
        posix_spawn_file_actions_adddup2(&actions, out.1, 1)
        let words = ["/usr/bin/python3", "-I", "-S", "-B", "-c", script]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        guard posix_spawn(&process, "/usr/bin/python3", &actions, nil, &arguments, environ) == 0 else {
            throw BenchFailure("/usr/bin/python3 cannot be started")
        }
        Glibc.close(into.0)
        Glibc.close(out.1)
        self.process = process
        self.input = into.1
        self.output = out.0
        for _ in 0..<5 { _ = try self.forkToFirstByte() }
    }

    private static func pipe(_ ends: inout (CInt, CInt)) throws {
        let result = withUnsafeMutablePointer(to: &ends) {
            $0.withMemoryRebound(to: CInt.self, capacity: 2) { Glibc.pipe($0) }
        }
        guard result == 0 else { throw BenchFailure("no pipe can be made") }
        _ = fcntl(ends.0, F_SETFD, FD_CLOEXEC)
        _ = fcntl(ends.1, F_SETFD, FD_CLOEXEC)
    }

    /// Microseconds.
    func forkToFirstByte() throws -> Double {
        var byte: UInt8 = 0
        let start = nanoseconds()
        guard write(self.input, &byte, 1) == 1, read(self.output, &byte, 1) == 1 else {
            throw BenchFailure("the floor's interpreter ended")
        }
        return Double(nanoseconds() - start) / 1_000
    }

    func close() {
        Glibc.close(self.input)
        Glibc.close(self.output)
        var status: CInt = 0
        waitpid(self.process, &status, 0)
    }
}

private func quotedPython(_ text: String) -> String {
    "'" + text.flatMap { $0 == "'" || $0 == "\\" ? ["\\", $0] : [$0] } + "'"
}
