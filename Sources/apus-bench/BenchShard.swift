internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusSandbox
internal import Glibc

/// A shard on a loop of its own, with one function.
final class BenchShard: @unchecked Sendable {
    // SAFETY: `shard` and `launcher` are made, used and ended on the loop's thread.
    let loop = EventLoop()
    private var shard: Shard?
    private var launcher: (any WorkerLauncher)?

    /// - Throws: what the launcher or the log says; nothing runs then.
    init(
        _ workers: DispatchBenchWorkers, log: any EventLog, _ configuration: ShardConfiguration,
        _ function: HostFunction
    ) throws {
        var configuration = configuration
        configuration.logSink = { line in print("worker: \(String(decoding: line.text, as: UTF8.self))") }
        configuration.onStartFailed = { _, failure in print("start failed: \(failure.message)") }
        var failure: ApusError?
        self.onLoop {
            do throws(ApusError) {
                let launcher = try workers.makeLauncher(self.loop)
                self.launcher = launcher
                let shard = Shard(loop: self.loop, log: log, launcher: launcher, configuration: configuration)
                self.shard = shard
                try shard.apply(function)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// CPU time that the loop's thread has used.
    func loopSeconds() -> Double {
        var time = timespec()
        self.onLoop { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) }
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// How many workers there are, those that are being started among them.
    var workers: Int {
        var count = 0
        self.onLoop { count = self.shard?.instances().count ?? 0 }
        return count
    }

    func close() {
        let done = BenchSignal()
        self.loop.post {
            guard let shard = self.shard else { return done.raise() }
            shard.drain(until: shard.now + .seconds(5)) {
                (self.launcher as? NurseryClient)?.close()
                done.raise()
            }
        }
        done.wait()
        self.loop.stop()
    }

    private func onLoop(_ body: @escaping () -> Void) {
        let done = BenchSignal()
        let work = SendableWork(body)
        self.loop.post {
            work.body()
            done.raise()
        }
        done.wait()
    }

    private struct SendableWork: @unchecked Sendable {
        // SAFETY: run once on the loop while the maker waits for it.
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}

/// Something that one thread waits for and another says.
final class BenchSignal: @unchecked Sendable {
    // SAFETY: a semaphore is made to be used from several threads; its address is stable.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        self.semaphore = .allocate(capacity: 1)
        sem_init(self.semaphore, 0, 0)
    }

    deinit {
        sem_destroy(self.semaphore)
        self.semaphore.deallocate()
    }

    func raise() { sem_post(self.semaphore) }
    func wait() { while sem_wait(self.semaphore) != 0 {} }

    /// - Returns: false when nothing was said in time.
    func wait(seconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += seconds
        while sem_timedwait(self.semaphore, &deadline) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}
