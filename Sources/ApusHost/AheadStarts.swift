internal import ApusCore
internal import ApusLoop

/// Starts of sandboxes that nobody waits for (`reuse: never`): made a moment after they are ordered, so that the call that took the one
/// before has the processors to itself. Confined to one loop.
final class AheadStarts {
    private var timer: LoopTimer?
    private var waiting: [() -> Void] = []

    init(_ loop: EventLoop) {
        self.timer = LoopTimer(loop) { [unowned self] in self.run() }
    }

    func add(_ start: @escaping () -> Void) {
        if self.waiting.isEmpty { self.timer?.start(milliseconds: Limits.Host.aheadStartMilliseconds) }
        self.waiting.append(start)
    }

    private func run() {
        var due: [() -> Void] = []
        swap(&due, &self.waiting)
        for start in due { start() }
    }

    func close() { self.timer?.close() }
}
