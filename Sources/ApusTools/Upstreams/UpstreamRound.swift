/// What another server wants back with the answers to its questions. It travels with the client, sealed with them.
public struct UpstreamRound: Sendable, Equatable {
    /// Its own, as it gave it.
    public var state: String?
    /// It waited for the answer, and was given up: it is asked again from the beginning, and answered as often as it asks.
    public var isAgain: Bool

    public init(state: String?, isAgain: Bool) {
        self.state = state
        self.isAgain = isAgain
    }

    /// For what is sealed; nothing stands for no round.
    var bytes: [UInt8] { [self.isAgain ? 1 : 0, self.state == nil ? 0 : 1] + Array((self.state ?? "").utf8) }

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 2 else { return nil }
        self.init(
            state: bytes[1] == 1 ? String(decoding: bytes.dropFirst(2), as: UTF8.self) : nil, isAgain: bytes[0] == 1)
    }
}
