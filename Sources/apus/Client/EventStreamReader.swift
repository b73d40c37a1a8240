internal import ApusCore
internal import ApusJSON

/// Reads `text/event-stream`: the data of each event, its lines joined. An event named `error` is thrown.
struct EventStreamReader {
    private var lines: LineSplitter
    private var data: [UInt8]?
    private var isError = false

    init(lineBytes: Int) { self.lines = LineSplitter(lineBytes: lineBytes) }

    /// - Returns: the data of the events that are whole now.
    /// - Throws: the problem that the server ended the stream with; `body_too_large`.
    mutating func take(_ bytes: [UInt8]) throws(ApusError) -> [[UInt8]] {
        var events: [[UInt8]] = []
        for line in try self.lines.take(bytes) {
            if line.isEmpty {
                if let data = self.data {
                    if self.isError { throw Self.problem(data) }
                    events.append(data)
                }
                self.data = nil
                self.isError = false
            } else if line.starts(with: "data:".utf8) {
                let value = Self.value(line.dropFirst(5))
                self.data = self.data.map { $0 + [0x0A] + value } ?? Array(value)
                guard self.data?.count ?? 0 <= self.lines.lineBytes else {
                    throw ApusError(.bodyTooLarge, "an event of the stream has more than \(self.lines.lineBytes) bytes")
                }
            } else if line.starts(with: "event:".utf8) {
                self.isError = Self.value(line.dropFirst(6)).elementsEqual("error".utf8)
            }
        }
        return events
    }

    private static func value(_ rest: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        rest.first == UInt8(ascii: " ") ? rest.dropFirst() : rest
    }

    private static func problem(_ data: [UInt8]) -> ApusError {
        do throws(ApusError) {
            let json = try JSONValue.parse(data, refusesDuplicates: false)
            let code = json["code"]?.string.flatMap(ErrorCode.init(rawValue:)) ?? .internal
            return ApusError(code, json["detail"]?.string ?? json["title"]?.string ?? "the server ended the stream")
        } catch {
            return ApusError(.internal, "the server ended the stream with an error that is no JSON", cause: error)
        }
    }
}
