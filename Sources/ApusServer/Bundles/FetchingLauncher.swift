internal import ApusCore
internal import ApusLoop
internal import Glibc

/// Has brought what a worker needs of `bundles/` and `layers/` before the launcher behind it is asked for one. Loop thread only.
final class FetchingLauncher: WorkerLauncher, @unchecked Sendable {
    // SAFETY: confined to its loop; references cross threads to come back by `loop.post`.

    private struct Waiting {
        var order: LaunchOrder
        var completion: (Result<LaunchedWorker, ApusError>) -> Void
    }

    private let inner: any WorkerLauncher
    private let files: FunctionFiles
    private let loop: EventLoop
    private var waiting: [UInt64: Waiting] = [:]
    private var last: UInt64 = 0
    private var isClosed = false

    init(_ inner: any WorkerLauncher, files: FunctionFiles, loop: EventLoop) {
        self.inner = inner
        self.files = files
        self.loop = loop
    }

    var onExit: ((LaunchTicket, WorkerExit) -> Void)? {
        get { self.inner.onExit }
        set { self.inner.onExit = newValue }
    }

    func kill(_ ticket: LaunchTicket) { self.inner.kill(ticket) }

    /// A bundle alone comes from the log in a moment, and is not looked for twice.
    func hasFiles(for order: LaunchOrder) -> Bool {
        order.layer.isEmpty && order.weights.isEmpty
            || self.files.areThere(bundle: order.bundle, layer: order.layer, weights: order.weights)
    }

    func launch(_ order: LaunchOrder, _ completion: @escaping (Result<LaunchedWorker, ApusError>) -> Void) {
        guard !order.bundle.isEmpty,
            !self.files.areThere(bundle: order.bundle, layer: order.layer, weights: order.weights)
        else {
            return self.inner.launch(order, completion)
        }
        let waiting = Waiting(order: order, completion: completion)
        guard !self.isClosed, self.waiting.count < Limits.Server.waitingForFiles else {
            return Self.fail(
                waiting,
                ApusError(.overloaded, "too many workers wait for the files of their functions: try again later"))
        }
        self.last += 1
        let number = self.last
        self.waiting[number] = waiting
        self.files.bring(bundle: order.bundle, layer: order.layer, weights: order.weights) { error in
            self.loop.post { self.brought(number, error) }
        }
    }

    private func brought(_ number: UInt64, _ error: ApusError?) {
        guard let waiting = self.waiting.removeValue(forKey: number) else { return }
        if let error {
            Self.fail(waiting, error)
        } else {
            self.inner.launch(waiting.order, waiting.completion)
        }
    }

    private static func fail(_ waiting: Waiting, _ error: ApusError) {
        if waiting.order.secrets >= 0 { _ = Glibc.close(waiting.order.secrets) }
        waiting.completion(.failure(error))
    }

    /// Nobody waits any more. The launcher behind it has an end of its own.
    func close() {
        self.isClosed = true
        let waiting = self.waiting
        self.waiting = [:]
        for (_, launch) in waiting { Self.fail(launch, ApusError(.shuttingDown, "the server is stopping")) }
    }
}
