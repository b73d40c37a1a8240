import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc

/// Real text: the licences that every Debian machine has, in passages.
enum Passages {
    static let folder = "/usr/share/common-licenses"

    /// - Returns: events, one JSON object each, with ids `p0`, `p1`, …
    static func fromLicences(limit: Int = 600) throws -> [String] {
        var events: [String] = []
        for file in ["Apache-2.0", "Artistic", "GPL-3", "LGPL-2.1", "MPL-2.0", "GFDL-1.3"] {
            guard let bytes = try? readFile("\(self.folder)/\(file)") else { continue }
            for paragraph in String(decoding: bytes, as: UTF8.self).split(separator: "\n\n")
            where paragraph.utf8.count > 80 {
                let event = JSONValue.object(
                    JSONObject([
                        ("key", .string("\(file)#\(events.count)")),
                        ("id", .string("p\(events.count)")),
                        ("source", .string("/licences/\(file)")),
                        ("type", .string("com.example.passage")),
                        ("data", .object(JSONObject([("text", .string(String(paragraph)))]))),
                    ]))
                events.append(String(decoding: event.encoded(), as: UTF8.self))
                if events.count == limit { return events }
            }
        }
        return events
    }

    /// The sum of the end offsets of a topic's partitions.
    static func endOffsets(_ server: TestServer, topic: String) throws -> Int {
        let result = server.apus("describe", "topic", topic, "--output", "json")
        let value = try JSONValue.parse(Array(result.output.utf8))
        return value["partitions"]?.array?.reduce(0) { $0 + Int($1["end"]?.integer ?? 0) } ?? -1
    }
}
