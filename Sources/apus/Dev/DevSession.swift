internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import Glibc

/// `apus dev`: deploys, watches, deploys again, and shows what the functions print and reply meanwhile.
final class DevSession {
    private let context: CommandContext
    private let paths: [String]
    private let screen: DevScreen
    private let clock = SystemClock()
    private var followers: [String: DevFollower] = [:]
    private var watches: [String: FolderWatch] = [:]

    init(_ context: CommandContext) {
        self.context = context
        self.paths = context.arguments.all("PATH")
        self.screen = DevScreen(context.terminal, context.paint)
    }

    /// Until the process is ended, or after so many deployments.
    func run(deployments: Int) throws {
        try self.refresh()
        try self.deploy()
        var left = deployments - 1
        while left > 0 {
            let changed = try self.nextChange()
            self.screen.note(
                "\(changed.sorted().prefix(3).joined(separator: ", "))\(changed.count > 3 ? ", …" : "") changed")
            do { try self.refresh() } catch { self.report(error) }
            try self.deploy()
            left -= 1
        }
        for follower in self.followers.values { follower.stop() }
    }

    /// What is deployed may be others than before: watches and followers are made to fit.
    private func refresh() throws {
        let found = try ManifestFiles(namespace: try self.context.namespace()).read(self.paths)
        // Whether each is one that a program is built in.
        var folders: [String: Bool] = [:]
        var wanted: Set<String> = []
        for item in found {
            folders[item.folder] = folders[item.folder] ?? false
            guard case .function(let function) = item.manifest else { continue }
            folders[item.source(of: function)] = folders[item.source(of: function)] ?? false
            // A build reads what is beside its manifest.
            if function.build != nil { folders[item.folder] = true }
            try self.follow(.logs(function.name.name), &wanted)
            for topic in Set(function.triggers.compactMap { $0.replyTo?.local?.name }) {
                try self.follow(.replies(topic), &wanted)
            }
        }
        for (name, follower) in self.followers where !wanted.contains(name) {
            follower.stop()
            self.followers[name] = nil
        }
        for (folder, isBuilt) in folders where self.watches[folder] == nil {
            self.watches[folder] = try FolderWatch(folder, isBuilt: isBuilt)
        }
        for folder in self.watches.keys where folders[folder] == nil { self.watches[folder] = nil }
    }

    private func follow(_ source: DevFollower.Source, _ wanted: inout Set<String>) throws {
        wanted.insert(source.name)
        guard self.followers[source.name] == nil, !self.context.arguments.has("--quiet") else { return }
        self.followers[source.name] = DevFollower(
            source, try self.context.client(), self.screen, since: self.context.terminal.now)
    }

    /// A deployment that is refused is shown, and the next change tries again.
    private func deploy() throws {
        let start = self.context.terminal.now
        let result: JSONValue
        do {
            result = try Deployment(context: self.context, waits: true, isQuiet: true).run(self.paths)
        } catch {
            return self.report(error)
        }
        let took = Self.milliseconds(self.context.terminal.now - start)
        for item in JSONLines.list(result) ?? [] {
            let revision = item["revision"]?.string.map { ", revision \($0.prefix(12))" } ?? ""
            self.screen.success("\(item["action"]?.string ?? "") \(item["name"]?.string ?? "")\(revision) (\(took))")
        }
        for follower in self.followers.values { follower.start() }
        try self.invoke()
    }

    /// With `--data`, each deployment is tried at once.
    private func invoke() throws {
        guard let given = self.context.arguments["--data"] else { return }
        do {
            let data = try DataArgument.read(given, self.context.terminal)
            let found = try ManifestFiles(namespace: try self.context.namespace()).read(self.paths)
            for case .function(let function) in found.map(\.manifest) {
                let client = try self.context.client()
                let start = self.context.terminal.now
                let answer = try client.call(
                    APIRequest(
                        .post, client.path("functions", function.name.name, "invoke"),
                        headers: [("Content-Type", DataArgument.contentType(of: data))], body: data))
                self.screen.result(
                    function.name.name, answer.body, Self.milliseconds(self.context.terminal.now - start))
            }
        } catch { self.report(error) }
    }

    private func report(_ error: any Error) {
        let text = ErrorReport(error, asJSON: false).text
        self.screen.failure(text.hasSuffix("\n") ? String(text.dropLast()) : text)
    }

    private static func milliseconds(_ span: TimeSpan) -> String { "\(span.microseconds / 1_000) ms" }

    /// Waits until something changed and has come to rest.
    private func nextChange() throws -> Set<String> {
        var gatherer = ChangeGatherer()
        while true {
            let now = self.clock.now
            for watch in self.watches.values { gatherer.add(try watch.changes(), now: now) }
            let changed = gatherer.take(now: now)
            guard changed.isEmpty else { return changed }
            let wait = gatherer.due.map { max(1, ($0 - now).microseconds / 1_000) } ?? -1
            var descriptors = self.watches.values.map { pollfd(fd: $0.signal, events: Int16(POLLIN), revents: 0) }
            _ = poll(&descriptors, nfds_t(descriptors.count), CInt(clamping: wait))
        }
    }
}
