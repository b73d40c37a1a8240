internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusStore
internal import Glibc

/// Fetches one file from where its manifest says, and goes on where an earlier attempt ended. Blocks.
struct WeightDownload {
    let folder: WeightFolder
    let egress: any EgressDirecting
    let hash: String
    /// What it may be at most.
    let bytesMax: Int64
    /// Asked while it goes on, also while nothing comes: true ends the transfer.
    let isStopping: @Sendable () -> Bool
    /// Told how much is there, and of how much where that is known.
    let onProgress: @Sendable (_ bytes: Int64, _ total: Int64?) -> Void

    /// What one connection came to.
    private enum Passage {
        case whole
        case redirected(String)
        /// It broke, or was cut, after so many bytes.
        case cut(Int64, ApusError)
    }

    /// - Throws: `weights_unavailable`, `disk_full`.
    func run(_ url: String, into descriptor: CInt) throws(ApusError) {
        var url = url
        var (redirects, failures) = (0, 0)
        while true {
            switch try self.pass(url, descriptor) {
            case .whole: return
            case .redirected(let next):
                redirects += 1
                guard redirects <= Limits.Weights.redirects else { throw Self.failure("\(url) redirects too often") }
                if url.hasPrefix("https://"), !next.hasPrefix("https://") {
                    throw Self.failure("\(url) redirects to \(next), where nothing is encrypted")
                }
                url = next
            case .cut(let bytes, let error):
                failures = bytes > 0 ? 0 : failures + 1
                guard failures < Limits.Weights.attempts else { throw error }
                usleep(Limits.Weights.pauseMilliseconds * 1_000)
            }
        }
    }

    private static func failure(_ message: String) -> ApusError { ApusError(.weightsUnavailable, message) }

    private static let stopping = ApusError(.shuttingDown, "the server is stopping")

    private func pass(_ url: String, _ descriptor: CInt) throws(ApusError) -> Passage {
        let route = try EgressRoute(self.egress, to: try Self.rule(of: url), in: self.folder.folder)
        var configuration = HTTPClient.Configuration()
        configuration.stallSeconds = Limits.Weights.stallSeconds
        configuration.proxySocket = route.path
        configuration.isAborted = self.isStopping
        let client = try HTTPClient(configuration: configuration)
        let sink = WeightSink(self, descriptor, begin: Self.size(descriptor))
        let range = sink.begin > 0 ? [HTTPHeader("Range", "bytes=\(sink.begin)-")] : []
        defer { withExtendedLifetime(route) {} }
        let response: HTTPResponse
        do throws(ApusError) {
            response = try client.stream(
                "GET", url, headers: range + [HTTPHeader("Accept-Encoding", "identity")], onHead: { sink.begin($0) },
                onChunk: { sink.take($0) })
        } catch {
            if let own = sink.error { throw own }
            if self.isStopping() { throw Self.stopping }
            return .cut(sink.taken, ApusError(.weightsUnavailable, error.message, cause: error))
        }
        if let own = sink.error { throw own }
        if self.isStopping() { throw Self.stopping }
        if (300..<400).contains(response.status), let next = response.header("Location") {
            return .redirected(try Self.absolute(next, from: url))
        }
        if response.status == 416 {
            // What is there is all, or of another file: its hash tells.
            return .whole
        }
        guard response.isSuccess else { throw Self.failure("\(url) answered \(response.status)") }
        return .whole
    }

    private static func size(_ descriptor: CInt) -> Int64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
    }

    private static func rule(of url: String) throws(ApusError) -> NetworkRule {
        let isSecure = url.hasPrefix("https://")
        guard isSecure || url.hasPrefix("http://") else { throw Self.failure("'\(url)' is no address of a file") }
        let authority = url.dropFirst(isSecure ? 8 : 7).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let isWithPort = authority.hasSuffix("]") ? false : authority.split(separator: "]").last?.contains(":") ?? false
        do throws(NetworkTextError) {
            return try NetworkRule(isWithPort ? String(authority) : "\(authority):\(isSecure ? 443 : 80)")
        } catch { throw Self.failure("'\(url)' names no host: \(error.message)") }
    }

    private static func absolute(_ location: String, from url: String) throws(ApusError) -> String {
        if location.hasPrefix("https://") || location.hasPrefix("http://") { return location }
        guard location.hasPrefix("/"), !location.hasPrefix("//") else {
            throw Self.failure("\(url) redirects to '\(location.prefix(96))', which is no address")
        }
        let scheme = url.hasPrefix("https://") ? "https://" : "http://"
        return scheme + url.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" } + location
    }
}

/// Takes one answer's body to the disk. Confined to the thread that waits for the answer.
private final class WeightSink {
    private let download: WeightDownload
    private let descriptor: CInt
    /// How much was there before.
    private(set) var begin: Int64
    private var total: Int64?
    private(set) var taken: Int64 = 0
    private(set) var error: ApusError?

    init(_ download: WeightDownload, _ descriptor: CInt, begin: Int64) {
        self.download = download
        self.descriptor = descriptor
        self.begin = begin
    }

    func begin(_ response: HTTPResponse) {
        guard response.isSuccess else { return }
        if response.status != 206, self.begin > 0 {
            // It gives the whole file again.
            do throws(ApusError) { try self.download.folder.empty(self.descriptor, of: self.download.hash) } catch {
                self.error = error
            }
            self.begin = 0
        }
        self.total = response.header("Content-Length").flatMap { Int64($0) }.map { $0 + self.begin }
    }

    /// - Returns: false to end the transfer.
    func take(_ bytes: [UInt8]) -> Bool {
        guard self.error == nil else { return false }
        let now = self.begin + self.taken + Int64(bytes.count)
        guard now <= self.download.bytesMax, (self.total ?? 0) <= self.download.bytesMax else {
            self.error = ApusError(
                .weightsUnavailable,
                "it is more than \(self.download.bytesMax) bytes, which is what `size`, or the room in "
                    + "`retention.weightsBytes`, allows")
            return false
        }
        do throws(ApusError) {
            try self.download.folder.append(bytes, to: self.descriptor, of: self.download.hash)
        } catch {
            self.error = error
            return false
        }
        self.taken += Int64(bytes.count)
        self.download.onProgress(now, self.total)
        return !self.download.isStopping()
    }
}
