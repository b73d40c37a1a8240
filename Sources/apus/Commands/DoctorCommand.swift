internal import ApusCore
internal import ApusJSON
internal import Glibc

extension Command {
    static let doctor = Command(
        CommandDescription(
            name: "doctor", summary: "say what this machine can enforce, and what is missing",
            details: "Ends with exit code 1 when something that functions need is missing.",
            examples: [.init("apus doctor", "Is this machine fit?"), .init("apus doctor --output json", "For programs")]
        )
    ) { context in
        var checks = HostChecks().all()
        checks.append(ServerCheck.run(context))
        let answer: JSONValue = [
            "fit": .boolean(!checks.contains { $0.state == .missing }),
            "checks": .array(checks.map { ["name": .string($0.name), "state": .string($0.state.rawValue), "detail": .string($0.detail)] }),
        ]
        try context.show(answer) {
            var table = TextTable(["CHECK", "STATE", "DETAIL"])
            for check in checks { table.add([check.name, check.state.rawValue, check.detail]) }
            return table.render(width: nil)
        }
        let missing = checks.filter { $0.state == .missing }.map(\.name)
        guard missing.isEmpty else {
            throw ApusError(.sandboxUnavailable, "this machine lacks: \(missing.joined(separator: ", ")); see the details above")
        }
    }
}

/// One thing that was looked at.
struct HostCheck: Equatable {
    enum State: String {
        case ok
        /// Works, with less.
        case limited
        /// Functions do not run without it.
        case missing
        /// Nothing depends on it here.
        case info
    }

    var name: String
    var state: State
    var detail: String
}

/// Asks the server that is meant, when one runs.
private enum ServerCheck {
    static func run(_ context: CommandContext) -> HostCheck {
        do {
            let client = try context.client()
            return Self.run(client)
        } catch {
            return HostCheck(name: "server", state: .limited, detail: ErrorReport(error, asJSON: false).message)
        }
    }

    private static func run(_ client: APIClient) -> HostCheck {
        do throws(ApusError) {
            _ = try client.call(APIRequest(.get, "/readyz"))
            return HostCheck(name: "server", state: .ok, detail: "\(client.server) is ready")
        } catch {
            let isAbsent = error.code == .serverUnreachable
            return HostCheck(
                name: "server", state: isAbsent ? .info : .limited, detail: isAbsent ? "none runs at \(client.server)" : error.message
            )
        }
    }
}
