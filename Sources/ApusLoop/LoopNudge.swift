internal import CUV

/// Makes the loop go round once more without waiting for a descriptor, so that every ``TurnHook`` runs again: for work
/// that came up where the hooks of this turn may have run already. Loop thread only.
public final class LoopNudge {
    private var idle: UnsafeMutablePointer<uv_idle_t>?

    public init(_ loop: EventLoop) {
        let idle = UnsafeMutablePointer<uv_idle_t>.allocate(capacity: 1)
        uv_idle_init(loop.handle, idle)
        self.idle = idle
    }

    /// The loop does not wait until ``cancel()``.
    public func request() {
        guard let idle = self.idle else { return }
        uv_idle_start(idle, onIdle)
    }

    public func cancel() {
        guard let idle = self.idle else { return }
        uv_idle_stop(idle)
    }

    public func close() {
        guard let idle = self.idle else { return }
        self.idle = nil
        uv_idle_stop(idle)
        uv_close(UnsafeMutableRawPointer(idle).assumingMemoryBound(to: uv_handle_t.self), onIdleClosed)
    }
}

private func onIdle(_ handle: UnsafeMutablePointer<uv_idle_t>?) {}

private func onIdleClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    guard let handle else { return }
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_idle_t.self).deallocate()
}
