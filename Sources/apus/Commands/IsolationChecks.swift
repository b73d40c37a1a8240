internal import ApusCore
internal import ApusJSON
internal import ApusSandbox
internal import ApusServer
internal import Glibc

/// What this machine enforces on functions, as the nursery found it: the running server's, or one started to look.
struct IsolationChecks {
    let context: CommandContext

    func all() throws -> [HostCheck] {
        let client = try self.context.client()
        do throws(ApusError) {
            let answer = try client.call(APIRequest(.get, "/v1/doctor")).json()
            let server = HostCheck(
                name: "server", state: .ok, detail: "\(client.server) runs; what follows is what it enforces")
            return [server] + (JSONLines.list(answer) ?? []).map(Self.check)
                + Self.shares(answer["shares"]?.array ?? [])
        } catch {
            guard error.code == .serverUnreachable else {
                return [HostCheck(name: "server", state: .limited, detail: error.message)] + self.probe()
            }
            return [HostCheck(name: "server", state: .info, detail: "none runs at \(client.server)")] + self.probe()
        }
    }

    /// A line for each class, server and state of what servers hold of the work that they share.
    private static func shares(_ list: [JSONValue]) -> [HostCheck] {
        var groups: [[JSONValue]] = []
        for share in list {
            func isSame(_ group: [JSONValue]) -> Bool {
                ["class", "owner", "state"].allSatisfy { group[0][$0] == share[$0] }
            }
            if let index = groups.firstIndex(where: isSame) {
                groups[index].append(share)
            } else {
                groups.append([share])
            }
        }
        return groups.map { group in
            let numbers = group.compactMap { $0["share"]?.integer }.sorted().map(String.init).joined(separator: " ")
            let since = group.compactMap { $0["since"]?.string }.min() ?? ""
            return HostCheck(
                name: "shares \(group[0]["class"]?.string ?? "")", state: .info,
                detail:
                    "\(group[0]["owner"]?.string ?? "") holds \(numbers) (\(group[0]["state"]?.string ?? "")), the oldest since \(since)"
            )
        }
    }

    private static func check(_ line: JSONValue) -> HostCheck {
        self.check(line["name"]?.string ?? "", line["enforced"]?.boolean ?? false, line["detail"]?.string ?? "")
    }

    private static func check(_ name: String, _ isEnforced: Bool, _ detail: String) -> HostCheck {
        HostCheck(name: name, state: isEnforced ? .ok : .limited, detail: detail.isEmpty ? "enforced" : detail)
    }

    /// An empty folder; nil where none can be made.
    private static func scratch() -> String? {
        for place in ["/var/tmp", "/tmp"] {
            var template = Array("\(place)/apus-doctor-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { continue }
            return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return nil
    }

    /// Starts a nursery in an empty folder, takes its report, and lets it end.
    private func probe() -> [HostCheck] {
        let isRootless = self.context.arguments.has("--rootless") || geteuid() != 0
        if isRootless, geteuid() == 0 {
            let detail = "what a server without root would enforce, only an ordinary user sees: run this as one"
            return [HostCheck(name: "isolation", state: .limited, detail: detail)]
        }
        guard let folder = Self.scratch() else {
            return [
                HostCheck(
                    name: "isolation", state: .missing, detail: "no scratch folder: \(String(cString: strerror(errno)))"
                )
            ]
        }
        defer { rmdir(folder) }
        do throws(ApusError) {
            let files = try InstalledFiles.locate()
            let nursery = try Nursery.start(
                Nursery.Configuration(
                    executable: files.nursery, dataDirectory: folder, runtimes: files.runtimes,
                    profiles: files.profiles, slots: 1, isRootless: isRootless
                )
            )
            // It ends by itself when its channels close.
            for channel in nursery.channels { close(channel) }
            var status: CInt = 0
            while waitpid(nursery.process, &status, 0) < 0, errno == EINTR {}
            let hint = HostCheck(
                name: "mode", state: .info,
                detail: isRootless
                    ? "without root, as `apus serve --rootless` would run; `sudo apus doctor` looks as root" : "root")
            return [hint] + nursery.report.lines.map { Self.check($0.name, $0.isEnforced, $0.detail) }
        } catch {
            return [HostCheck(name: "isolation", state: .missing, detail: error.message)]
        }
    }
}
