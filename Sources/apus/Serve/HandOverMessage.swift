internal import ApusCore
internal import ApusJSON
internal import ApusServer
internal import CShims
internal import Glibc

/// What the server that runs and the one that takes over say to each other, a JSON object a packet, over `run/upgrade.sock`:
/// `hello` (new), `offer` with the listening sockets (old), `take` (new), `released` (old), `serving` (new). At any place the old
/// one may say `refused` with a reason, and the new one may leave: until `take` the old one then goes on as if nothing had been.
enum HandOverMessage: Equatable {
    /// Raised when a version cannot understand the one before.
    static let version: Int64 = 1
    static let socketName = "upgrade.sock"

    case hello
    case offer(Offer)
    case take
    case released
    case serving
    case refused(String)

    /// What the new server must agree with before it takes.
    struct Offer: Equatable {
        var release: String
        var process: Int64
        var address: String
        var port: Int64
        var shards: Int64
        /// The newest format of the log that the running server may have written.
        var logFormat: Int64
    }

    var json: JSONValue {
        switch self {
        case .hello: ["say": "hello", "version": .integer(Self.version)]
        case .offer(let offer):
            [
                "say": "offer", "version": .integer(Self.version), "release": .string(offer.release),
                "process": .integer(offer.process), "address": .string(offer.address), "port": .integer(offer.port),
                "shards": .integer(offer.shards), "logFormat": .integer(offer.logFormat),
            ]
        case .take: ["say": "take"]
        case .released: ["say": "released"]
        case .serving: ["say": "serving"]
        case .refused(let reason): ["say": "refused", "reason": .string(reason)]
        }
    }

    /// - Throws: `protocol_error`.
    init(_ json: JSONValue) throws(ApusError) {
        switch json["say"]?.string {
        case "hello":
            try Self.check(json)
            self = .hello
        case "offer":
            try Self.check(json)
            guard let process = json["process"]?.integer, let port = json["port"]?.integer,
                let address = json["address"]?.string, let shards = json["shards"]?.integer,
                let format = json["logFormat"]?.integer
            else { throw Self.strange }
            self = .offer(
                Offer(
                    release: json["release"]?.string ?? "?", process: process, address: address, port: port,
                    shards: shards, logFormat: format))
        case "take": self = .take
        case "released": self = .released
        case "serving": self = .serving
        case "refused": self = .refused(json["reason"]?.string ?? "no reason given")
        default: throw Self.strange
        }
    }

    private static func check(_ json: JSONValue) throws(ApusError) {
        guard json["version"]?.integer == Self.version else {
            throw ApusError(
                .protocolError,
                "the two versions cannot hand over to each other: restart the server instead of upgrading it")
        }
    }

    private static let strange = ApusError(
        .protocolError, "the other server said something that is no part of an upgrade")
}

/// One end of the line between the two servers. Closed with the value.
final class HandOverLine {
    let descriptor: CInt

    init(adopting descriptor: CInt) { self.descriptor = descriptor }
    deinit { close(self.descriptor) }

    /// The user and the process on the other end, as the kernel says.
    func peer() throws(ApusError) -> (user: uid_t, process: pid_t) {
        var user = uid_t.max
        var process: pid_t = 0
        let result = apus_hand_over_peer(self.descriptor, &user, &process)
        guard result == 0 else { throw Self.broken("look at the other server", -result) }
        return (user, process)
    }

    func send(_ message: HandOverMessage, descriptors: [CInt] = []) throws(ApusError) {
        let bytes = message.json.encoded()
        let result = apus_hand_over_send(self.descriptor, bytes, bytes.count, descriptors, CInt(descriptors.count))
        guard result == 0 else { throw Self.broken("reach the other server", -result) }
    }

    /// - Returns: nil when the other one left.
    func receive(milliseconds: CInt) throws(ApusError) -> (message: HandOverMessage, descriptors: [CInt])? {
        var bytes = [UInt8](repeating: 0, count: Limits.Serve.messageBytes)
        var descriptors = [CInt](repeating: -1, count: Limits.shards)
        var count: CInt = 0
        let length = apus_hand_over_receive(
            self.descriptor, &bytes, bytes.count, &descriptors, &count, milliseconds)
        guard length >= 0 else { throw Self.broken("hear the other server", CInt(-length)) }
        let received = Array(descriptors[..<Int(count)])
        guard length > 0 else { return nil }
        do throws(ApusError) {
            return (try HandOverMessage(try JSONValue.parse(Array(bytes[..<length]))), received)
        } catch {
            for descriptor in received { close(descriptor) }
            throw error
        }
    }

    private static func broken(_ what: String, _ number: CInt) -> ApusError {
        ApusError(.serverUnreachable, "cannot \(what) for the upgrade: \(String(cString: strerror(number)))")
    }
}
