internal import ApusCore
internal import CShims
internal import Glibc

/// One request to the nursery: its fixed head and the strings behind it.
struct EncodedRequest {
    var head: nursery_request
    var strings: [UInt8] = []
    /// Goes with the request, and is closed once it is sent or given up; -1 for none.
    var descriptor: CInt = -1

    init(_ operation: nursery_operation, ticket: UInt64) {
        self.head = nursery_request()
        self.head.magic = NURSERY_MAGIC
        self.head.operation = operation.rawValue
        self.head.ticket = ticket
    }

    /// - Throws: `invalid_argument` for what the nursery would refuse anyway, said in the words of the order.
    init(launching order: LaunchOrder, ticket: UInt64) throws(ApusError) {
        self.init(NURSERY_LAUNCH, ticket: ticket)
        try EncodedRequest.check(order)
        self.head.runtime = order.runtime.rawValue
        self.head.is_clone = order.isClone ? 1 : 0
        self.head.isolation = order.isolation == .hostile ? 1 : 0
        self.head.memory_bytes = order.bounds.memoryBytes
        self.head.scratch_bytes = order.bounds.scratchBytes
        self.head.cpu_millis = order.bounds.cpuMillis
        self.head.processes = order.bounds.processes
        self.head.open_files = order.bounds.openFiles
        self.head.argument_count = UInt32(order.arguments.count)
        self.head.environment_count = UInt32(order.environment.count)
        self.head.argument_bytes = self.append(order.arguments)
        self.head.environment_bytes = self.append(order.environment)
        EncodedRequest.copy(order.bundle, to: &self.head.bundle)
        EncodedRequest.copy(order.layer, to: &self.head.layer)
        EncodedRequest.copy(order.weights, to: &self.head.weights)
        self.setDevices(order)
        self.head.has_secrets = order.secrets >= 0 ? 1 : 0
        self.head.has_proxy = order.hasProxy ? 1 : 0
        self.descriptor = order.secrets
    }

    private mutating func setDevices(_ order: LaunchOrder) {
        self.head.gpus = order.gpus.reduce(0) { $0 | 1 << UInt64($1) }
        withUnsafeMutableBytes(of: &self.head.gpu_capabilities) { target in
            let numbers = target.bindMemory(to: UInt32.self)
            for (index, number) in order.gpuCapabilities.enumerated() { numbers[index] = number }
        }
    }

    /// A request about a layer that is being made.
    init(_ operation: nursery_operation, layer: String, ticket: UInt64) throws(ApusError) {
        self.init(operation, ticket: ticket)
        guard EncodedRequest.isHash(layer) else {
            throw ApusError(
                .invalidArgument, "'\(layer.prefix(80))' does not name a layer: expected 64 hexadecimal digits")
        }
        EncodedRequest.copy(layer, to: &self.head.layer)
    }

    private mutating func append(_ texts: [String]) -> UInt32 {
        let before = self.strings.count
        for text in texts {
            self.strings.append(contentsOf: text.utf8)
            self.strings.append(0)
        }
        return UInt32(self.strings.count - before)
    }

    private static func check(_ order: LaunchOrder) throws(ApusError) {
        guard self.isHash(order.bundle) || order.runtime == .egress && order.bundle.isEmpty else {
            throw ApusError(
                .invalidArgument, "'\(order.bundle.prefix(80))' does not name a bundle: expected 64 hexadecimal digits")
        }
        guard order.layer.isEmpty || self.isHash(order.layer) else {
            throw ApusError(
                .invalidArgument, "'\(order.layer.prefix(80))' does not name a layer: expected 64 hexadecimal digits")
        }
        guard order.weights.isEmpty || self.isHash(order.weights) else {
            throw ApusError(
                .invalidArgument,
                "'\(order.weights.prefix(80))' does not name a set of weights: expected 64 hexadecimal digits")
        }
        try self.check(
            order.arguments, "arguments", count: Limits.Sandbox.argumentCount, bytes: SandboxBounds.argumentsBytes)
        try self.check(
            order.environment, "environment", count: Limits.Sandbox.environmentCount,
            bytes: SandboxBounds.environmentBytes)
        guard order.gpus.allSatisfy({ $0 < NURSERY_GPUS_MAX }), order.gpus.count <= Limits.Sandbox.gpus,
            order.gpuCapabilities.count <= Limits.Sandbox.gpuCapabilities
        else {
            throw ApusError(
                .invalidArgument,
                "a worker may have at most \(Limits.Sandbox.gpus) devices, numbered below \(NURSERY_GPUS_MAX), and "
                    + "\(Limits.Sandbox.gpuCapabilities) parts of them")
        }
        guard order.bounds.openFiles <= Limits.Sandbox.openFiles else {
            throw ApusError(.invalidArgument, "a sandbox may have at most \(Limits.Sandbox.openFiles) open files")
        }
    }

    private static func check(_ texts: [String], _ what: String, count: Int, bytes: Int) throws(ApusError) {
        guard texts.count <= count, texts.reduce(0, { $0 + $1.utf8.count + 1 }) <= bytes else {
            throw ApusError(
                .invalidArgument, "the \(what) of a launch may be at most \(count) strings of \(bytes) bytes in all")
        }
        guard !texts.contains(where: { $0.utf8.contains(0) }) else {
            throw ApusError(.invalidArgument, "the \(what) of a launch holds a zero byte")
        }
    }

    static func isHash(_ text: String) -> Bool {
        text.utf8.count == Int(NURSERY_HASH_BYTES)
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    private static func copy<Field>(_ text: String, to field: inout Field) {
        withUnsafeMutableBytes(of: &field) { target in
            for (index, byte) in text.utf8.prefix(target.count).enumerated() { target[index] = byte }
        }
    }

    /// Nobody sends it any more.
    func release() { if self.descriptor >= 0 { close(self.descriptor) } }

    /// - Returns: bytes sent or a negative error number.
    func send(to socket: CInt) -> Int {
        withUnsafePointer(to: self.head) { head in
            self.strings.withUnsafeBytes { apus_send_request(socket, head, $0.baseAddress, $0.count, self.descriptor) }
        }
    }
}

/// The text in a fixed field, up to its zero byte.
func text<Field>(of field: Field) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
