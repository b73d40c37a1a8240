import ApusCore
import CShims
import Glibc

/// The server's side of one session with the worker for exec, by hand. The command of each call is on standard input's first
/// lines: the handler is `sh`, which reads its script from there up to `exit`.
final class ExecSession {
    struct Answer: CustomStringConvertible {
        var isFailure: Bool
        var text: String
        var detail: String
        var description: String { "\(self.isFailure ? "failed" : "answered"): \(self.text) [\(self.detail)]" }
    }

    private let worker: LaunchedWorker
    private var buffer: [UInt8] = []
    private var stream: UInt64 = 0
    private var logs = ""

    init(_ worker: LaunchedWorker) throws {
        self.worker = worker
        guard try self.next().header.type == .hello else { throw ApusError(.protocolError, "no HELLO") }
        let configuration =
            #"{"function": "f", "namespace": "default", "handler": "sh -s", "concurrency": 1, "path": "/function"}"#
        self.send(.initialize, Array(configuration.utf8))
        guard try self.next().header.type == .ready, try self.next().header.type == .credit else {
            throw ApusError(.protocolError, "no READY")
        }
    }

    /// Runs a script; `data` is what its own standard input has.
    func call(_ script: String, _ data: String) throws -> Answer {
        self.stream += 1
        self.logs = ""
        var head = [UInt8](repeating: 0, count: InvokeHead.byteCount)
        let invoke = InvokeHead(
            attempt: 1, trigger: InvokeHead.direct, partition: 0, offset: -1, invocation: InvocationID(high: 0, low: 1))
        head.withUnsafeMutableBytes { if let base = $0.baseAddress { invoke.write(to: base) } }
        let text = data.isEmpty ? script : "printf '%s' '\(data)' | {\n\(script)\n}"
        let block = EventBlock.encode(Event(data: Array(text.utf8)))
        self.send(.invoke, head + block, stream: self.stream)
        let (header, payload) = try self.next()
        guard header.type == .error else {
            let event = try EventBlock.decode(payload.span.bytes)
            return Answer(isFailure: false, text: String(decoding: event.data ?? [], as: UTF8.self), detail: self.logs)
        }
        let error = try ErrorPayload(parsing: payload.span.bytes)
        return Answer(isFailure: true, text: error.message, detail: error.detail)
    }

    func drain() { self.send(.drain, []) }

    private func send(_ type: FrameType, _ payload: [UInt8], stream: UInt64 = 0) {
        var bytes: [UInt8] = []
        FrameHeader(type, stream: stream, length: payload.count).append(to: &bytes)
        bytes += payload
        _ = bytes.withUnsafeBytes { write(self.worker.toWorker, $0.baseAddress, $0.count) }
    }

    /// The next frame but LOG.
    private func next() throws -> (header: FrameHeader, payload: [UInt8]) {
        while true {
            if self.buffer.count >= FrameHeader.byteCount {
                let header = try FrameHeader(parsing: self.buffer.span.bytes)
                let size = FrameHeader.byteCount + header.length
                if self.buffer.count >= size {
                    let payload = Array(self.buffer[FrameHeader.byteCount..<size])
                    self.buffer.removeFirst(size)
                    if header.type == .log {
                        self.logs += String(decoding: payload.dropFirst(), as: UTF8.self) + "\n"
                        continue
                    }
                    return (header, payload)
                }
            }
            guard apus_wait_readable(self.worker.fromWorker, 20_000) == 1 else {
                throw ApusError(.protocolError, "no frame: \(TestFiles.drain(self.worker.stderr))")
            }
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = read(self.worker.fromWorker, &bytes, bytes.count)
            guard count > 0 else { throw ApusError(.protocolError, "it ended: \(TestFiles.drain(self.worker.stderr))") }
            self.buffer += bytes[..<count]
        }
    }
}
