internal import ApusCore
internal import ApusSandbox
internal import Glibc

/// Workers that are clones of a warm interpreter: what a pool of `reuse: never` holds.
extension SandboxBenchSite {
    /// How long after its READY a worker of a pool is left alone before it is invoked.
    private static let restMicroseconds: UInt32 = 3_000

    /// Invokes a worker that is ready, `calls` times, then kills it.
    /// - Returns: microseconds of each call, and from the kill to the sandbox verified empty.
    func invokeReady(_ runtime: LaunchOrder.Runtime = .python, calls: Int = 1) throws -> (calls: [Double], kill: Double)
    {
        let held = Held()
        let _: Void = try self.onLoop { done in
            self.makeReady(runtime) { result in
                held.worker = try? result.get()
                done(result.map { _ in })
            }
        }
        usleep(Self.restMicroseconds)
        var times: [Double] = []
        for _ in 0..<calls {
            times.append(
                try self.onLoop { done in
                    held.worker?.invoke { time in
                        done(time.map { .success($0) } ?? .failure(BenchFailure("the worker ended before its result")))
                    }
                })
        }
        let kill: Double = try self.onLoop { done in
            guard let worker = held.worker else { return }
            held.worker = nil
            self.end(worker) { done(.success($0)) }
        }
        return (times, kill)
    }

    /// Sandboxes with Python made, invoked once and ended per second.
    func freshRate(_ count: Int, inFlight: Int) throws -> Double {
        let start = nanoseconds()
        let _: Void = try self.onLoop { done in
            var left = count
            var running = 0
            var isOver = false
            func finish(_ result: Result<Void, any Error>) {
                if !isOver { done(result) }
                isOver = true
            }
            func next() {
                while running < inFlight, left > 0, !isOver {
                    left -= 1
                    running += 1
                    self.makeReady { result in
                        guard case .success(let worker) = result else {
                            return finish(.failure(BenchFailure("a worker did not become ready")))
                        }
                        worker.invoke { time in
                            self.end(worker) { _ in
                                running -= 1
                                if time == nil { return finish(.failure(BenchFailure("a worker ended too soon"))) }
                                if left == 0, running == 0 { return finish(.success(())) }
                                next()
                            }
                        }
                    }
                }
            }
            next()
        }
        return Double(count) * 1e9 / Double(nanoseconds() - start)
    }

    /// Bytes of memory that one of `count` workers which wait ready has to itself, the median.
    func idlePrivate(_ count: Int) throws -> Double {
        let all = Held()
        for _ in 0..<count {
            let _: Void = try self.onLoop { done in
                self.makeReady { result in
                    if let worker = try? result.get() { all.workers.append(worker) }
                    done(result.map { _ in })
                }
            }
        }
        let bytes = Self.privateBytes(ofProcessesWith: "_zygote.py").sorted().suffix(count)
        let _: Void = try self.onLoop { done in
            var left = all.workers.count
            for worker in all.workers {
                self.end(worker) { _ in
                    left -= 1
                    if left == 0 { done(.success(())) }
                }
            }
            all.workers = []
        }
        return percentile(50, of: Array(bytes))
    }

    /// Used on the loop, or while nothing runs there.
    private final class Held: @unchecked Sendable {
        // SAFETY: the thread that measures waits for the loop before it looks, and the loop for it.
        var worker: SandboxBenchWorker?
        var workers: [SandboxBenchWorker] = []
    }

    private func makeReady(
        _ runtime: LaunchOrder.Runtime = .python, _ done: @escaping (Result<SandboxBenchWorker, any Error>) -> Void
    ) {
        let order = LaunchOrder(runtime: runtime, bundle: Self.bundle, isClone: runtime == .python)
        self.client?.launch(order) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let launched):
                var made: SandboxBenchWorker?
                made = SandboxBenchWorker(self.loop, launched) { isReady in
                    guard isReady, let worker = made else {
                        return done(.failure(BenchFailure("the worker did not become ready")))
                    }
                    made = nil
                    done(.success(worker))
                }
            }
        }
    }

    private func end(_ worker: SandboxBenchWorker, _ done: @escaping (Double) -> Void) {
        let killed = nanoseconds()
        self.exits[worker.worker.ticket.rawValue] = { done(Double(nanoseconds() - killed) / 1_000) }
        self.client?.kill(worker.worker.ticket)
        worker.close()
    }

    private static func privateBytes(ofProcessesWith word: String) -> [Double] {
        BenchProcess.all { String(decoding: $0, as: UTF8.self).contains(word) }.compactMap { process in
            guard let text = try? BenchFiles.read("/proc/\(process)/smaps_rollup") else { return nil }
            let kilobytes = String(decoding: text, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("Private_") }.compactMap {
                $0.split(separator: " ").dropFirst().first.flatMap { Double($0) }
            }
            return kilobytes.isEmpty ? nil : kilobytes.reduce(0, +) * 1_024
        }
    }
}
