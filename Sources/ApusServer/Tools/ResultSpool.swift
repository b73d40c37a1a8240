internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusTools

/// A large result on its way from a worker to the disk: what it says, without its function's secrets, and never more of it in memory than a
/// frame. Without ``finish()`` nothing of it is kept.
final class ResultSpool {
    /// How it is read on its way.
    private enum Form {
        /// The first byte of JSON says which. Next: `text`, `json`.
        case undecided
        case plain(MaskedParts)
        /// JSON that is one text: it is kept as what it says, or its lines could not be read.
        case text(TextInParts, MaskedParts)
        case json(MaskedJSON)
    }

    private let masks: SecretMasks
    private let writer: ResultWriter
    private let room: LargeResults.Room
    private var type: String
    private var form: Form

    /// - Parameter bytes: at most.
    /// - Throws: `disk_full`, `limit_reached`.
    init(_ type: String, bytes: Int, _ masks: SecretMasks, in results: LargeResults, for owner: String, now: Timestamp) throws(ApusError) {
        self.room = try results.makeRoom(bytes, for: owner, now: now)
        self.writer = try ResultWriter(in: results.folder, most: bytes)
        self.masks = masks
        self.form = type.contains("json") ? .undecided : .plain(MaskedParts(masks))
        self.type = type
    }

    /// Whether it is one that can be kept without being understood as a whole: all but a list of contents.
    static func takes(_ type: String) -> Bool { !type.hasPrefix(ContentBlocks.mediaType) }

    func take(_ part: [UInt8]) throws(ApusError) {
        guard !part.isEmpty else { return }
        var part = part
        if case .undecided = self.form {
            part = Array(part.drop(while: JSONScanner.isSpace))
            guard let first = part.first else { return }
            if self.type == "application/json", first == UInt8(ascii: "\"") {
                self.type = "text/plain"
                self.form = .text(TextInParts(), MaskedParts(self.masks))
            } else {
                self.form = .json(MaskedJSON(self.masks))
            }
        }
        // Nothing else may hold what grows.
        let form = exchange(&self.form, with: .undecided)
        switch form {
        case .undecided: break
        case .plain(var masked):
            try self.write(masked.take(part))
            self.form = .plain(masked)
        case .text(var text, var masked):
            var said: [UInt8] = []
            do throws(TextInParts.Malformed) { said = try text.take(part) } catch { throw MaskedJSON.malformed }
            try self.write(masked.take(said))
            self.form = .text(text, masked)
        case .json(var json):
            try self.write(try json.take(part))
            self.form = .json(json)
        }
    }

    private func write(_ part: [UInt8]) throws(ApusError) { if !part.isEmpty { try self.writer.write(part) } }

    private func writeRest() throws(ApusError) {
        switch self.form {
        case .undecided: break
        case .plain(var masked): try self.write(masked.end())
        case .text(let text, var masked):
            guard text.hasEnded else { throw MaskedJSON.malformed }
            try self.write(masked.end())
        case .json(var json): try self.write(try json.end())
        }
    }

    struct Finished: Sendable {
        var file: ResultFile
        var room: LargeResults.Room
        var type: String
        /// Its beginning and its end, where that is text that can be shown.
        var ends: ToolResultForm.Ends?
    }

    func finish() throws(ApusError) -> Finished {
        try self.writeRest()
        guard let file = self.writer.finish() else { throw ApusError(.internal, "a result was finished twice") }
        self.room.shrink(to: file.size)
        return Finished(file: file, room: self.room, type: self.type, ends: try ToolResultForm.ends(of: file, self.type))
    }
}
