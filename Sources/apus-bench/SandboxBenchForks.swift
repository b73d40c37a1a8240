internal import ApusCore
internal import ApusSandbox
internal import ApusTestSupport
internal import CShims
internal import Glibc

/// A function's zygote and the calls that it forks, spoken with from the thread that measures.
final class SandboxBenchForks {
    struct Times {
        /// Microseconds from the order for a process until it is ready for its call.
        var ready: [Double] = []
        /// From the invocation of one that waits to its result.
        var hit: [Double] = []
    }

    private let zygote: LaunchedWorker
    private var next: UInt64 = 0
    /// What came behind a frame, by descriptor.
    private var rest: [CInt: [UInt8]] = [:]

    /// - Parameters:
    ///   - zygote: just launched.
    ///   - hasLayer: it was launched with packages of its function's own.
    init(_ zygote: LaunchedWorker, hasLayer: Bool) throws {
        self.zygote = zygote
        try self.expect(.hello, zygote.fromWorker)
        let initialization = String(decoding: SandboxBenchCall.initialization, as: UTF8.self)
        let own = (hasLayer ? initialization.replacing(#""layer":null"#, with: #""layer":"/layer""#) : initialization).dropLast()
        try self.send(
            zygote.toWorker, .initialize, Array("\(own),\"forks\":{\"children\":1,\"memory\":268435456}}".utf8))
        try self.expect(.ready, zygote.fromWorker)
    }

    /// Forks so many calls, one after the other: made ready, invoked, killed.
    func measure(_ count: Int) throws -> Times {
        var times = Times()
        for _ in 0..<count { try self.call(&times) }
        return times
    }

    private func call(_ times: inout Times) throws {
        self.next += 1
        var ours = [CInt](repeating: -1, count: Int(APUS_CALL_DESCRIPTORS))
        var theirs = ours
        let start = nanoseconds()
        guard apus_channel_make_call(&ours, &theirs) == 0,
            apus_channel_send_call(self.zygote.descriptors, theirs, self.next) == 0
        else { throw BenchFailure("no descriptors for a call") }
        for descriptor in theirs { Glibc.close(descriptor) }
        defer { for descriptor in ours { Glibc.close(descriptor) } }
        try self.send(self.zygote.toWorker, .fork, stream: self.next)
        try self.expect(.forked, self.zygote.fromWorker)
        try self.expect(.hello, ours[1])
        try self.send(ours[0], .initialize, SandboxBenchCall.initialization)
        try self.expect(.ready, ours[1])
        try self.expect(.credit, ours[1])
        times.ready.append(Double(nanoseconds() - start) / 1_000)
        // One that waits touches beforehand what a call will; then it is asked.
        usleep(20_000)
        let invoked = nanoseconds()
        try self.send(ours[0], .invoke, SandboxBenchCall.invocation, stream: 1)
        try self.expect(.result, ours[1])
        times.hit.append(Double(nanoseconds() - invoked) / 1_000)
        try self.send(self.zygote.toWorker, .kill, stream: self.next)
        try self.expect(.ended, self.zygote.fromWorker)
        self.rest[ours[1]] = nil
    }

    func close() {
        for descriptor in [
            self.zygote.toWorker, self.zygote.fromWorker, self.zygote.descriptors, self.zygote.stdout,
            self.zygote.stderr,
        ] { Glibc.close(descriptor) }
    }

    private func send(_ descriptor: CInt, _ type: FrameType, _ payload: [UInt8] = [], stream: UInt64 = 0) throws {
        let bytes = SandboxBenchCall.frame(type, stream: stream, payload)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw BenchFailure("a pipe takes no frame") }
    }

    private func expect(_ type: FrameType, _ descriptor: CInt) throws {
        var bytes = self.rest[descriptor] ?? []
        while true {
            if bytes.count >= FrameHeader.byteCount {
                let header = try FrameHeader(parsing: bytes.span.bytes)
                let size = FrameHeader.byteCount + header.length
                if bytes.count >= size {
                    guard header.type == type else { throw BenchFailure("a zygote said \(header.type), not \(type)") }
                    self.rest[descriptor] = Array(bytes[size...])
                    return
                }
            }
            guard apus_wait_readable(descriptor, 10_000) == 1 else { throw BenchFailure("a zygote says no \(type)") }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { throw BenchFailure("a zygote ended before \(type)") }
            bytes += buffer[..<count]
        }
    }
}

extension SandboxBenchSite {
    private static let numpyBundle = String(repeating: "c", count: 64)
    private static let layer = String(repeating: "d", count: 64)

    /// A second function, which imports numpy.
    /// - Parameter packages: a folder that holds it, as `pip install --target` makes one.
    func addNumpy(_ packages: String) throws {
        guard access("\(packages)/numpy", F_OK) == 0 else { throw BenchFailure("\(packages) holds no numpy") }
        let function = "\(self.folder)/bundles/\(Self.numpyBundle)"
        for path in [function, "\(self.folder)/layers"] {
            mkdir(path, 0o755)
            chmod(path, 0o755)
        }
        try writeFile("\(function)/main.py", "import numpy\n\ndef echo(event, context):\n    return event\n")
        let layer = "\(self.folder)/layers/\(Self.layer)"
        for words in [["/bin/cp", "-r", "--", packages, layer], ["/bin/chmod", "-R", "a+rX", layer]] {
            guard try BenchProcess.run(words, output: "/dev/null") == 0 else { throw BenchFailure("\(packages) cannot be copied") }
        }
    }

    /// Launches a zygote of the benchmark's function, or of the one that imports numpy, has it fork calls, ends it.
    func forks(_ count: Int, isNumpy: Bool = false) throws -> SandboxBenchForks.Times {
        let order =
            isNumpy
            ? LaunchOrder(runtime: .forks, bundle: Self.numpyBundle, layer: Self.layer)
            : LaunchOrder(runtime: .forks, bundle: Self.bundle)
        let worker: LaunchedWorker = try self.onLoop { done in
            self.client?.launch(order) { result in
                done(result.mapError { $0 as any Error })
            }
        }
        let forks = try SandboxBenchForks(worker, hasLayer: isNumpy)
        let result = Result { try forks.measure(count) }
        let _: Void = try self.onLoop { done in
            self.exits[worker.ticket.rawValue] = { done(.success(())) }
            self.client?.kill(worker.ticket)
        }
        forks.close()
        return try result.get()
    }
}
