public import ApusCore
internal import ApusEngine
internal import CShims
internal import Glibc

/// What one worker is given of its function's secrets: a sealed memory file, and what the server needs to recognise them in lines.
public struct WorkerSecrets: ~Copyable {
    /// A JSON object of name to text, sealed against every change.
    let memory: CInt
    public let masks: SecretMasks

    /// - Throws: `overloaded` when no memory file can be made.
    public init(copying json: UnsafeRawBufferPointer, masks: SecretMasks) throws(ApusError) {
        let memory = apus_channel_sealed_memory(json.baseAddress, json.count)
        guard memory >= 0 else {
            throw ApusError(
                .overloaded, "no memory file for the function's secrets: \(String(cString: strerror(-memory)))")
        }
        self.memory = memory
        self.masks = masks
    }

    deinit { close(self.memory) }

    /// A second descriptor of the same memory, for a worker that inherits it.
    func duplicate() -> CInt? {
        let copy = fcntl(self.memory, F_DUPFD_CLOEXEC, 0)
        return copy < 0 ? nil : copy
    }
}

extension Shard {
    /// Opens a function's secrets for a worker that is about to start; the order then says what the worker inherits of them.
    /// - Throws: `secret_unavailable`, `secret_not_found`, `overloaded`.
    func open(secretsFor channel: WorkerChannel, _ order: inout LaunchOrder) throws(ApusError) {
        let function = channel.function.function
        guard !function.secrets.isEmpty else { return }
        let secrets = try self.configuration.secrets(function)
        if order.runtime.inheritsSecrets {
            guard let copy = secrets.duplicate() else {
                throw ApusError(
                    .overloaded, "the server has no descriptors left for a function's secrets; raise its limit")
            }
            order.secrets = copy
        }
        channel.take(consume secrets)
    }

    /// Sends the secrets to a worker that can receive descriptors, before INIT tells it to wait for them.
    func sendSecrets(to channel: WorkerChannel) {
        guard !channel.function.function.secrets.isEmpty else { return }
        let isReceiving = channel.machine.features.contains(.descriptors)
        guard channel.sendSecrets(isReceiving: isReceiving) else {
            return self.end(
                channel,
                Failure(.startFailed, "the worker could not be given its secrets: its descriptor 5 takes nothing"))
        }
        guard !isReceiving, !channel.function.function.launch.runtime.inheritsSecrets else { return }
        self.end(
            channel,
            Failure(
                .startFailed,
                "the worker cannot receive descriptors, and so gets no secrets: build it with this release"))
    }
}

extension LaunchOrder.Runtime {
    /// Workers that may not know descriptor 5 find their secrets on descriptor 6. Python's always does know it.
    var inheritsSecrets: Bool { self != .python }
}
