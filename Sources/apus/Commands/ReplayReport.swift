internal import ApusCore
internal import ApusEngine
internal import ApusJSON

/// `apus simulate --replay`: whether a server's pool decides today as it did then.
enum ReplayReport {
    /// - Throws: `conflict` where something is decided otherwise, with the place.
    static func run(_ path: String, _ context: CommandContext) throws {
        for option in SimulateOptions.described where option.name != "--replay" {
            guard context.arguments.all(option.name).isEmpty else {
                throw UsageError("\(option.name) is of a simulation, but --replay only decides again")
            }
        }
        let bytes = try DataArgument.readFile(path, limit: Limits.Commands.traceBytes)
        let replay: PoolReplay
        do throws(ApusError) { replay = try PoolReplay(String(decoding: bytes, as: UTF8.self)) } catch {
            throw ApusError(error.code, "\(path): \(error.message)")
        }
        if let difference = replay.difference {
            throw ApusError(.conflict, "\(path): it is decided otherwise now: \(difference)")
        }
        try context.show(Self.json(replay)) { Self.text(replay) }
    }

    private static func span(_ replay: PoolReplay) -> Double {
        guard let first = replay.first, let last = replay.last else { return 0 }
        return Double((last - first).microseconds) * 1e-6
    }

    private static func json(_ replay: PoolReplay) -> JSONValue {
        [
            "inputs": .number(Int64(replay.inputs)), "decisions": .number(Int64(replay.decisions)),
            "transitions": .number(Int64(replay.transitions)), "seconds": .double(Self.span(replay)),
            "isCut": .boolean(replay.isCut),
        ]
    }

    private static func text(_ replay: PoolReplay) -> String {
        let cut = replay.isCut ? " The recording breaks off: its server was killed." : ""
        return "\(replay.inputs) inputs over \(Int(Self.span(replay))) s: \(replay.decisions) decisions and "
            + "\(replay.transitions) transitions, all as they were.\(cut)\n"
    }
}
