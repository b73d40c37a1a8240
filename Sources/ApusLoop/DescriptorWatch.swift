internal import CUV

/// Watches one descriptor on a loop. Reading and writing stay the owner's business; the watch does not own the descriptor, and
/// must be closed before it. Loop thread only.
public final class DescriptorWatch {
    public struct Interest: OptionSet, Sendable {
        public let rawValue: CInt
        public init(rawValue: CInt) { self.rawValue = rawValue }
        public static let readable = Interest(rawValue: CInt(UV_READABLE.rawValue))
        public static let writable = Interest(rawValue: CInt(UV_WRITABLE.rawValue))
        /// The peer closed its end.
        public static let disconnect = Interest(rawValue: CInt(UV_DISCONNECT.rawValue))
    }

    private var poll: UnsafeMutablePointer<uv_poll_t>?
    private var interest: Interest = []
    fileprivate let onEvents: (Interest) -> Void

    /// - Parameter onEvents: gets what is possible now; an error of the descriptor reads as `readable`, so that the next read tells.
    /// - Returns: nil when the kernel cannot watch the descriptor.
    public init?(_ loop: EventLoop, descriptor: CInt, onEvents: @escaping (Interest) -> Void) {
        self.onEvents = onEvents
        let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        guard uv_poll_init(loop.handle, poll, descriptor) == 0 else {
            poll.deallocate()
            return nil
        }
        // Balanced in `onClosed`, the last callback of the handle.
        poll.pointee.data = Unmanaged.passRetained(self).toOpaque()
        self.poll = poll
    }

    /// Replaces what is watched for; nothing pauses the watch.
    public func watch(_ interest: Interest) {
        guard let poll = self.poll, interest != self.interest else { return }
        self.interest = interest
        if interest.isEmpty { uv_poll_stop(poll) } else { uv_poll_start(poll, interest.rawValue, onPoll) }
    }

    /// No callback comes after this. The descriptor may be closed at once.
    public func close() {
        guard let poll = self.poll else { return }
        self.poll = nil
        uv_poll_stop(poll)
        uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self), onClosed)
    }

    fileprivate var isOpen: Bool { self.poll != nil }
}

private func onPoll(_ handle: UnsafeMutablePointer<uv_poll_t>?, _ status: CInt, _ events: CInt) {
    guard let context = handle?.pointee.data else { return }
    let watch = Unmanaged<DescriptorWatch>.fromOpaque(context).takeUnretainedValue()
    guard watch.isOpen else { return }
    watch.onEvents(status < 0 ? .readable : DescriptorWatch.Interest(rawValue: events))
}

private func onClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    guard let handle, let context = handle.pointee.data else { return }
    Unmanaged<DescriptorWatch>.fromOpaque(context).release()
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_poll_t.self).deallocate()
}
