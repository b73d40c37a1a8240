internal import ApusCore
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Whether this server decides what is deployed and what fires: always where it is alone.
final class Deciding: Sendable {
    let isSo: Atomic<Bool>

    init(_ isSo: Bool) { self.isSo = Atomic(isSo) }
}

/// What a server among several on one log does beside the others' work.
extension Server {
    /// Before the catalogue is read.
    func prepareSharing() {
        let (control, projection, schedules, deciding, journal) = (
            self.control, self.projection, self.schedules, self.deciding, self.journal
        )
        projection.limitControl { [unowned control] in control.followed.load(ordering: .acquiring) }
        control.onFollowed.withLock { $0 = { [weak projection] in projection?.controlWasFollowed() } }
        control.onDeciding.withLock {
            $0 = { (catalogue) throws(ApusError) in
                guard let catalogue else {
                    deciding.isSo.store(false, ordering: .releasing)
                    return schedules.pause()
                }
                do throws(ApusError) { try schedules.start(catalogue) } catch {
                    throw ApusError(error.code, "schedules cannot begin: \(error.message)", cause: error)
                }
                deciding.isSo.store(true, ordering: .releasing)
                journal.info("this server decides what is deployed and fires schedules")
            }
        }
        if let log = self.log as? SealedLog {
            log.whenIgnored { [weak control] place, key in
                journal.warning("a record was ignored that no server of this cluster wrote", ["place": "\(place)"])
                if place.partition.topic == .control { control?.distrust(key) }
            }
        }
    }

    /// Takes part in deciding, and looks at what waits, from now on.
    func share() throws(ApusError) {
        let (runtime, control, relay) = (self.shards[0], self.control, self.tools.relay)
        try relay?.start()
        runtime.loop.runAndWait {
            let timer = LoopTimer(runtime.loop) {
                control.tick()
                relay?.look()
            }
            let step = Limits.ControlCommands.stepMilliseconds
            timer.start(milliseconds: step, repeating: step)
            runtime.shareTimer = timer
        }
        try control.share()
    }
}
