internal import ApusCore
internal import ApusLoop

/// Starts of sandboxes that nobody waits for (`reuse: never`): made a moment after they are ordered, so that the call that took the one
/// before has the processors to itself. Confined to one loop.
final class AheadStarts {
    private let timer: LoopTimer
    private var waiting: [() -> Void] = []

    init(_ loop: EventLoop) {
        let box = Box()
        self.timer = LoopTimer(loop) { box.onFire?() }
        box.onFire = { [unowned self] in self.run() }
    }

    private final class Box {
        var onFire: (() -> Void)?
    }

    func add(_ start: @escaping () -> Void) {
        if self.waiting.isEmpty { self.timer.start(milliseconds: Limits.Host.aheadStartMilliseconds) }
        self.waiting.append(start)
    }

    private func run() {
        var due: [() -> Void] = []
        swap(&due, &self.waiting)
        for start in due { start() }
    }

    func close() { self.timer.close() }
}
