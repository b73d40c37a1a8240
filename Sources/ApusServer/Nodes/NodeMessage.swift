internal import ApusCore
internal import ApusJSON
internal import ApusTools

/// What one server says to those it shares a log with, about sessions of agents. Nothing of it needs to last.
enum NodeMessage: Sendable, Equatable {
    /// A client's answer or notification: it concerns whichever server asked, or runs the call.
    case sent(session: String, body: [UInt8])
    /// The client has ended the session.
    case ended(session: String)
    /// A session goes on here that began at another server, which knows what its client asked for since.
    case met(session: String, origin: String)
    /// What the client asked for: what is missing stays as it is.
    case state(session: String, level: LogLevel?, resources: [String])
    case unfollowed(session: String, resource: String)
    /// A client wants to read on in a stream that whoever gave its events holds.
    case resume(relay: String, session: String, place: StreamPlace)
    /// Here it is.
    case opened(relay: String)
    /// An event of it, or a part of one.
    case event(relay: String, number: Int, isWhole: Bool, bytes: [UInt8])
    /// There is no more.
    case closed(relay: String)
    /// Nobody reads it there any more.
    case left(relay: String)
}

/// A line of JSON, and behind it what is passed on as it came.
extension NodeMessage {
    private static let type = "dev.apus.node.v1"

    /// - Parameter run: of the life of the server that says it.
    func event(of run: String) -> Event {
        var head = JSONObject()
        head["run"] = .string(run)
        var payload: [UInt8] = []
        switch self {
        case .sent(let session, let body):
            (head["kind"], head["session"], payload) = ("sent", .string(session), body)
        case .ended(let session): (head["kind"], head["session"]) = ("ended", .string(session))
        case .met(let session, let origin):
            (head["kind"], head["session"], head["origin"]) = ("met", .string(session), .string(origin))
        case .state(let session, let level, let resources):
            (head["kind"], head["session"]) = ("state", .string(session))
            if let level { head["level"] = .string(level.rawValue) }
            head["resources"] = .array(resources.map { .string($0) })
        case .unfollowed(let session, let resource):
            (head["kind"], head["session"], head["resource"]) = ("unfollowed", .string(session), .string(resource))
        case .resume(let relay, let session, let place):
            (head["kind"], head["relay"]) = ("resume", .string(relay))
            (head["session"], head["place"]) = (.string(session), .string(place.text))
        case .opened(let relay): (head["kind"], head["relay"]) = ("opened", .string(relay))
        case .event(let relay, let number, let isWhole, let bytes):
            (head["kind"], head["relay"]) = ("event", .string(relay))
            (head["number"], head["whole"], payload) = (.integer(Int64(number)), .boolean(isWhole), bytes)
        case .closed(let relay): (head["kind"], head["relay"]) = ("closed", .string(relay))
        case .left(let relay): (head["kind"], head["relay"]) = ("left", .string(relay))
        }
        let line = JSONValue.object(head).encoded() + [UInt8(ascii: "\n")]
        return Event(attributes: [Attribute("type", Self.type)], data: line + payload)
    }

    /// - Returns: nil when the record is no message.
    static func read(_ event: Event) -> (run: String, message: NodeMessage)? {
        guard event["type"] == Self.type, let data = event.data, let end = data.firstIndex(of: UInt8(ascii: "\n")),
            let head = try? JSONValue.parse(Array(data[..<end])), let run = head["run"]?.string,
            let message = Self.message(head, Array(data[(end + 1)...]))
        else { return nil }
        return (run, message)
    }

    private static func message(_ head: JSONValue, _ payload: [UInt8]) -> NodeMessage? {
        let (kind, session, relay) = (head["kind"]?.string, head["session"]?.string, head["relay"]?.string)
        switch (kind, session, relay) {
        case ("sent", let session?, _): return .sent(session: session, body: payload)
        case ("ended", let session?, _): return .ended(session: session)
        case ("met", let session?, _): return head["origin"]?.string.map { .met(session: session, origin: $0) }
        case ("state", let session?, _):
            return .state(
                session: session, level: head["level"]?.string.flatMap { LogLevel(rawValue: $0) },
                resources: head["resources"]?.array?.compactMap(\.string) ?? [])
        case ("unfollowed", let session?, _):
            return head["resource"]?.string.map { .unfollowed(session: session, resource: $0) }
        case ("resume", let session?, let relay?):
            return head["place"]?.string.flatMap { StreamPlace($0) }.map {
                .resume(relay: relay, session: session, place: $0)
            }
        case ("opened", _, let relay?): return .opened(relay: relay)
        case ("event", _, let relay?):
            guard let number = head["number"]?.integer, let isWhole = head["whole"]?.boolean else { return nil }
            return .event(relay: relay, number: Int(number), isWhole: isWhole, bytes: payload)
        case ("closed", _, let relay?): return .closed(relay: relay)
        case ("left", _, let relay?): return .left(relay: relay)
        default: return nil
        }
    }
}
