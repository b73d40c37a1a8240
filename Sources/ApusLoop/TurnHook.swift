internal import CUV

/// Runs once per turn of the loop, just before it waits for descriptors: where what a turn gathered is written in one go.
/// Loop thread only.
public final class TurnHook {
    private var prepare: UnsafeMutablePointer<uv_prepare_t>?
    fileprivate let onTurn: () -> Void

    public init(_ loop: EventLoop, onTurn: @escaping () -> Void) {
        self.onTurn = onTurn
        let prepare = UnsafeMutablePointer<uv_prepare_t>.allocate(capacity: 1)
        uv_prepare_init(loop.handle, prepare)
        // Balanced in `onPrepareClosed`, the last callback of the handle.
        prepare.pointee.data = Unmanaged.passRetained(self).toOpaque()
        self.prepare = prepare
        uv_prepare_start(prepare, onPrepare)
    }

    public func close() {
        guard let prepare = self.prepare else { return }
        self.prepare = nil
        uv_prepare_stop(prepare)
        uv_close(UnsafeMutableRawPointer(prepare).assumingMemoryBound(to: uv_handle_t.self), onPrepareClosed)
    }
}

private func onPrepare(_ handle: UnsafeMutablePointer<uv_prepare_t>?) {
    guard let context = handle?.pointee.data else { return }
    Unmanaged<TurnHook>.fromOpaque(context).takeUnretainedValue().onTurn()
}

private func onPrepareClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    guard let handle, let context = handle.pointee.data else { return }
    Unmanaged<TurnHook>.fromOpaque(context).release()
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_prepare_t.self).deallocate()
}
