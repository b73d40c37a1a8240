internal import CUV

/// A timer on a loop. Loop thread only.
public final class LoopTimer {
    private var timer: UnsafeMutablePointer<uv_timer_t>?
    fileprivate let onFire: () -> Void

    public init(_ loop: EventLoop, onFire: @escaping () -> Void) {
        self.onFire = onFire
        let timer = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)
        uv_timer_init(loop.handle, timer)
        // Balanced in `onTimerClosed`, the last callback of the handle.
        timer.pointee.data = Unmanaged.passRetained(self).toOpaque()
        self.timer = timer
    }

    /// Fires once after `milliseconds`, or again every `repeating`. Replaces what was set.
    public func start(milliseconds: UInt64, repeating: UInt64 = 0) {
        guard let timer = self.timer else { return }
        // libuv counts from the start of the turn; a long turn would make the timer early.
        uv_update_time(timer.pointee.loop)
        uv_timer_start(timer, onTimer, milliseconds, repeating)
    }

    public func stop() {
        guard let timer = self.timer else { return }
        uv_timer_stop(timer)
    }

    public func close() {
        guard let timer = self.timer else { return }
        self.timer = nil
        uv_timer_stop(timer)
        uv_close(UnsafeMutableRawPointer(timer).assumingMemoryBound(to: uv_handle_t.self), onTimerClosed)
    }
}

private func onTimer(_ handle: UnsafeMutablePointer<uv_timer_t>?) {
    guard let context = handle?.pointee.data else { return }
    Unmanaged<LoopTimer>.fromOpaque(context).takeUnretainedValue().onFire()
}

private func onTimerClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    guard let handle, let context = handle.pointee.data else { return }
    Unmanaged<LoopTimer>.fromOpaque(context).release()
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_timer_t.self).deallocate()
}
