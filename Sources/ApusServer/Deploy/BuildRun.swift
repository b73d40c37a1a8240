internal import ApusCore
internal import ApusLoop
internal import Glibc

/// One build process in its sandbox, from launch to exit, with the end of what it printed. Confined to one loop.
final class BuildRun {
    struct Outcome: Sendable {
        var exit: WorkerExit
        /// Standard output and standard error, interleaved as they came; only the end when it was long.
        var output: String
    }

    private let loop: EventLoop
    private let launcher: any WorkerLauncher
    private let completion: (Result<Outcome, ApusError>) -> Void
    private var ticket: LaunchTicket?
    private var streams: [Stream] = []
    private var output: [UInt8] = []
    private var exit: WorkerExit?
    private var deadline: LoopTimer?
    private let room: () -> DiskRoom?
    private var diskWatch: LoopTimer?
    private var isOver = false
    /// Nobody else holds a run: it holds itself until its process has ended.
    private var keeper: BuildRun?

    /// - Parameter room: what is left where the build writes to; nil where that cannot be told.
    init(
        _ loop: EventLoop, _ launcher: any WorkerLauncher, room: @escaping () -> DiskRoom?,
        _ completion: @escaping (Result<Outcome, ApusError>) -> Void
    ) {
        self.loop = loop
        self.launcher = launcher
        self.room = room
        self.completion = completion
    }

    func start(_ order: LaunchOrder) {
        self.keeper = self
        self.launcher.onExit = { [weak self] ticket, exit in
            guard let self, ticket == self.ticket else { return }
            self.exit = exit
            self.finishIfDone()
        }
        self.launcher.launch(order) { result in
            switch result {
            case .failure(let error): self.finish(.failure(error))
            case .success(let worker): self.started(worker)
            }
        }
    }

    /// Gives up waiting: the server stops, and the nursery ends the process.
    func abandon() {
        self.finish(.failure(ApusError(.shuttingDown, "the server is stopping: deploy again when it is back")))
    }

    private func started(_ worker: LaunchedWorker) {
        guard !self.isOver else {
            // Nobody waits for this process any more.
            for descriptor in [worker.toWorker, worker.fromWorker, worker.descriptors, worker.stdout, worker.stderr] {
                _ = close(descriptor)
            }
            return self.launcher.kill(worker.ticket)
        }
        self.ticket = worker.ticket
        // A build speaks no frames.
        for descriptor in [worker.toWorker, worker.fromWorker, worker.descriptors] { _ = close(descriptor) }
        for descriptor in [worker.stdout, worker.stderr] {
            let stream = Stream(OwnedDescriptor(adopting: descriptor))
            self.streams.append(stream)
            stream.watch = DescriptorWatch(self.loop, descriptor: descriptor) { [weak self] _ in self?.read(stream) }
            stream.watch?.watch(.readable)
        }
        let deadline = LoopTimer(self.loop) { [weak self] in
            guard let self else { return }
            self.output.append(contentsOf: "\napus: ended after \(Limits.Server.buildSeconds) s\n".utf8)
            self.launcher.kill(worker.ticket)
        }
        deadline.start(milliseconds: UInt64(Limits.Server.buildSeconds * 1_000))
        self.deadline = deadline
        self.watchDisk(worker.ticket)
    }

    /// No quota of a file system is asked for, so that this is what keeps a build from filling the server's disk.
    private func watchDisk(_ ticket: LaunchTicket) {
        guard let before = self.room() else { return }
        let watch = LoopTimer(self.loop) { [weak self] in
            guard let self, let now = self.room(), now.isFarBelow(before) else { return }
            self.diskWatch?.close()
            self.diskWatch = nil
            self.output.append(contentsOf: "\napus: ERROR ended: it took too much of the disk\n".utf8)
            self.launcher.kill(ticket)
        }
        watch.start(milliseconds: Limits.Server.buildDiskMilliseconds, repeating: Limits.Server.buildDiskMilliseconds)
        self.diskWatch = watch
    }

    private func read(_ stream: Stream) {
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while let descriptor = stream.descriptor {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count > 0 {
                self.output.append(contentsOf: chunk[..<count])
                if self.output.count > 2 * Limits.Server.buildOutputBytes {
                    self.output.removeFirst(self.output.count - Limits.Server.buildOutputBytes)
                }
            } else if count < 0, errno == EAGAIN || errno == EINTR {
                return
            } else {
                stream.close()
            }
        }
        self.finishIfDone()
    }

    private func finishIfDone() {
        guard let exit = self.exit else { return }
        // The sandbox is empty, so nobody can write any more: what is left in the pipes is all there will be.
        for stream in self.streams where stream.descriptor != nil {
            self.drain(stream)
        }
        let tail = self.output.suffix(Limits.Server.buildOutputBytes)
        self.finish(.success(Outcome(exit: exit, output: String(decoding: tail, as: UTF8.self))))
    }

    private func drain(_ stream: Stream) {
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while let descriptor = stream.descriptor {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count <= 0 { return stream.close() }
            self.output.append(contentsOf: chunk[..<count])
        }
    }

    private func finish(_ result: Result<Outcome, ApusError>) {
        guard !self.isOver else { return }
        self.isOver = true
        self.deadline?.close()
        self.diskWatch?.close()
        self.launcher.onExit = nil
        for stream in self.streams { stream.close() }
        self.completion(result)
        self.keeper = nil
    }

    /// One of the process's outputs.
    private final class Stream {
        private(set) var descriptor: CInt?
        var watch: DescriptorWatch?

        init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor.release() }

        func close() {
            guard let descriptor = self.descriptor else { return }
            self.descriptor = nil
            self.watch?.close()
            self.watch = nil
            _ = Glibc.close(descriptor)
        }
    }
}
