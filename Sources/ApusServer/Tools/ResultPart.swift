internal import ApusCore
internal import ApusTools

/// One reading of a large result: a part of it, and where what follows is read.
struct ResultPart: Sendable {
    private let members: [UInt8]
    private let meta: String

    init<Source: ResultSource>(_ uri: String, _ range: ResultRange, of source: Source, _ type: String) throws(Source.Failure) {
        let isText = type.hasPrefix("text/") || type.hasPrefix("application/json") || type == "application/x-ndjson"
        let (bytes, place) = try range.part(of: source, isText: isText)
        // A part of JSON is text that no parser takes.
        let type = isText && bytes.count < source.size ? "text/plain" : type
        self.members = Array(#""contents":["#.utf8) + ResultContent.resource(uri: uri, type: type, data: bytes) + [UInt8(ascii: "]")]
        var meta = #""dev.apus/size":\#(source.size)"#
        if place.upperBound < source.size {
            let (base, next) = (uri.prefix { $0 != "?" }, place.upperBound)
            let last = min(source.size, next + Limits.ToolEndpoint.resultPartBytes) - 1
            meta += #","dev.apus/next":"\#(base)?bytes=\#(next)-\#(last)""#
        }
        self.meta = meta
    }

    /// - Parameter left: how long it is kept here from now: clients keep it no longer. Nil for longer than they keep anything.
    func tell(_ reply: ToolReply, for left: TimeSpan?) {
        let most = Limits.ToolEndpoint.listMilliseconds
        let time = left.map { min(most, max(0, Int($0.milliseconds))) } ?? most
        reply.finish(self.members, cache: CacheHint(ttlMilliseconds: time, isPublic: false), meta: Array(self.meta.utf8))
    }
}
