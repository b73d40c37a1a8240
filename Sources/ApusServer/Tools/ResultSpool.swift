internal import ApusCore
internal import ApusEngine
internal import ApusHost

/// A large result on its way from a worker to the disk: what it says, without its function's secrets, and never more of it in memory than a
/// frame. Without ``finish()`` nothing of it is kept.
final class ResultSpool {
    let type: String
    private let writer: ResultWriter
    private let room: LargeResults.Room
    private var masked: MaskedParts
    /// Of a text that comes as JSON.
    private var text: TextInParts?

    /// - Throws: `disk_full`, `limit_reached`.
    init(_ type: String, bytes: Int, _ masks: SecretMasks, in results: LargeResults, for owner: String, now: Timestamp) throws(ApusError) {
        self.room = try results.makeRoom(bytes, for: owner, now: now)
        self.writer = try ResultWriter(in: results.folder, most: bytes)
        self.masked = MaskedParts(masks)
        // A text is kept as what it says, or its lines could not be read.
        self.text = type == "application/json" ? TextInParts() : nil
        self.type = type == "application/json" ? "text/plain" : type
    }

    /// Whether it is one that can be kept without being understood: a text, or bytes.
    /// - Parameter first: of its data.
    static func takes(_ type: String?, first: UInt8?) -> Bool {
        guard let type else { return false }
        if type == "application/json" { return first == UInt8(ascii: "\"") }
        return !type.contains("json")
    }

    func take(_ part: [UInt8]) throws(ApusError) { try self.write(self.masked.take(try self.resolved(part))) }

    private func resolved(_ part: [UInt8]) throws(ApusError) -> [UInt8] {
        guard self.text != nil else { return part }
        do throws(TextInParts.Malformed) { return try self.text?.take(part) ?? part } catch { throw Self.malformed }
    }

    private static let malformed = ApusError(.functionFailed, "the result says that it is JSON, and is none")

    private func write(_ part: [UInt8]) throws(ApusError) { if !part.isEmpty { try self.writer.write(part) } }

    struct Finished: Sendable {
        var file: ResultFile
        var room: LargeResults.Room
        var type: String
        /// Its beginning and its end, where that is text that can be shown.
        var ends: ToolResultForm.Ends?
    }

    func finish() throws(ApusError) -> Finished {
        do throws(TextInParts.Malformed) { try self.text?.end() } catch { throw Self.malformed }
        try self.write(self.masked.end())
        guard let file = self.writer.finish() else { throw ApusError(.internal, "a result was finished twice") }
        return Finished(file: file, room: self.room, type: self.type, ends: try ToolResultForm.ends(of: file, self.type))
    }
}
