internal import ApusLoop
internal import CUV

/// While it runs, the loop does not wait for descriptors: the next turn starts at once. Loop thread only.
final class LoopIdle {
    private var idle: UnsafeMutablePointer<uv_idle_t>?

    init(_ loop: EventLoop) {
        let idle = UnsafeMutablePointer<uv_idle_t>.allocate(capacity: 1)
        uv_idle_init(loop.handle, idle)
        self.idle = idle
    }

    func start() {
        if let idle = self.idle { uv_idle_start(idle, onIdle) }
    }

    func stop() {
        if let idle = self.idle { uv_idle_stop(idle) }
    }

    /// Must come before the last reference goes.
    func close() {
        guard let idle = self.idle else { return }
        self.idle = nil
        uv_close(UnsafeMutableRawPointer(idle).assumingMemoryBound(to: uv_handle_t.self), onIdleClosed)
    }
}

private func onIdle(_ handle: UnsafeMutablePointer<uv_idle_t>?) {}
private func onIdleClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    guard let handle else { return }
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_idle_t.self).deallocate()
}
