public import ApusCore
internal import ApusCrypto
public import ApusJSON

/// What a caller's client has answered so far, in the order it came, and how it comes back: sealed, since nothing of a question is kept.
public struct Answers: Sendable, Equatable {
    public private(set) var all: [JSONMember] = []
    /// Questions that were asked and are open. Others are not answered by whoever likes.
    public private(set) var asked: [String] = []
    /// How often it was asked.
    public private(set) var rounds = 0
    private var isFirst = true
    /// What another server that asked wants back.
    public private(set) var round: UpstreamRound?
    /// How far the call is.
    public private(set) var mark = CallMark.none

    public init() {}

    public var isEmpty: Bool { self.all.isEmpty }

    /// What the handler is given: `{"name": {...}}`.
    public var json: [UInt8] { JSONMember.object(self.all) }

    /// Those to what was asked last; without such a question, those that came by themselves.
    public var ofRound: [UInt8] {
        JSONMember.object(self.isFirst ? self.all : self.all.filter { self.asked.contains($0.name) })
    }

    /// Takes one answer. What was not asked for is ignored; a later answer counts.
    public mutating func add(_ name: String, _ json: [UInt8]) {
        guard self.isFirst || self.asked.contains(name) else { return }
        self.all.removeAll { $0.name == name }
        self.all.append(JSONMember(name: name, json: json))
    }

    /// Takes `inputResponses` of a request.
    /// - Throws: for what is no object of objects, or too much.
    public mutating func add(_ envelope: Envelope) throws(RPCError) {
        guard let responses = envelope.parameters.inputResponses, responses.kind != .null else { return }
        guard responses.kind == .object else { throw .invalidParams("`inputResponses` must be an object") }
        var found: [(String, [UInt8])] = []
        var isSound = true
        envelope.body.withUnsafeBytes { text in
            JSONSlices.forEachMember(of: responses, in: text) { name, value in
                isSound = isSound && value.kind == .object
                found.append((String(decoding: name, as: UTF8.self), Array(text[value.range])))
            }
        }
        guard isSound else { throw .invalidParams("each of `inputResponses` must be an object") }
        for (name, json) in found { self.add(name, json) }
        guard self.json.count <= Limits.Tools.answersBytes else {
            throw .invalidParams("the answers have more than \(Limits.Tools.answersBytes) bytes together")
        }
    }

    /// Notes what is asked now.
    /// - Parameter round: of another server that asks.
    public mutating func ask(_ questions: Questions, round: UpstreamRound? = nil) {
        self.round = round
        self.asked = questions.all.map(\.name)
        self.rounds += 1
        self.isFirst = false
    }

    // MARK: approval

    /// Notes that the person at the client is asked whether the call may begin.
    public mutating func askApproval() {
        self.asked = [ApprovalQuestion.name]
        self.rounds += 1
        self.isFirst = false
        self.mark = .asked(Random.bytes(CallMark.bytes))
    }

    /// What comes are answers to what an invocation asks that has begun.
    public init(to id: InvocationID, _ questions: Questions) {
        self.mark = .begun(id)
        self.ask(questions)
    }

    /// Notes that what an invocation waits for was given before it was asked.
    public mutating func grant() {
        self.all.removeAll { $0.name == ApprovalQuestion.name }
        self.all.append(
            JSONMember(name: ApprovalQuestion.name, json: Array(#"{"action":"accept","content":{"approve":true}}"#.utf8)))
    }

    /// Notes that it may, whatever the other server that runs it asks from here on.
    public mutating func letThrough() { self.mark = .letThrough(Random.bytes(CallMark.bytes)) }

    /// What was answered to that, which is nothing that the function asked. Said unasked it counts for nothing.
    public mutating func takeApproval() -> ApprovalAnswer? {
        let answer = self.all.first { $0.name == ApprovalQuestion.name }
        self.all.removeAll { $0.name == ApprovalQuestion.name }
        guard case .asked = self.mark else { return nil }
        return answer.flatMap { ApprovalAnswer($0.json) }
    }

    // MARK: sealed

    /// - Parameter bound: who asks what: principal, method, name, version, digest of the arguments.
    public func seal(_ sealer: Sealer, boundTo bound: [String], until: Timestamp) -> String {
        var plain: [UInt8] = []
        plain.appendLittleEndian(UInt64(bitPattern: until.microseconds))
        plain.appendLittleEndian(UInt32(self.rounds))
        plain.appendLittleEndian(UInt32(self.asked.count))
        plain.append(self.mark.code)
        Self.append(self.mark.name, to: &plain)
        Self.append(self.round?.bytes ?? [], to: &plain)
        for name in self.asked { Self.append(Array(name.utf8), to: &plain) }
        for answer in self.all {
            Self.append(Array(answer.name.utf8), to: &plain)
            Self.append(answer.json, to: &plain)
        }
        return sealer.seal(plain, boundTo: Self.label + bound)
    }

    /// - Throws: for a state that was changed, that belongs to another request or another caller, and one that is too old.
    public init(opening text: String, _ sealer: Sealer, boundTo bound: [String], now: Timestamp) throws(RPCError) {
        guard let plain = sealer.open(text, boundTo: Self.label + bound), plain.count >= Self.headBytes else {
            throw .invalidParams("`requestState` is not the one that was given for this request")
        }
        let until = Timestamp(microseconds: plain.span.bytes.littleEndian(at: 0, as: Int64.self))
        guard now < until else { throw .invalidParams("`requestState` is too old: begin anew") }
        self.rounds = Int(plain.span.bytes.littleEndian(at: 8, as: UInt32.self))
        self.isFirst = false
        let count = Int(plain.span.bytes.littleEndian(at: 12, as: UInt32.self))
        let nameBytes = Int(plain.span.bytes.littleEndian(at: 17, as: UInt32.self))
        guard plain.count >= Self.headBytes + nameBytes,
            let mark = CallMark(
                code: plain[16], name: Array(plain[Self.headBytes..<(Self.headBytes + nameBytes)]))
        else { throw .invalidParams("`requestState` is not the one that was given for this request") }
        self.mark = mark
        var texts: [[UInt8]] = []
        var at = Self.headBytes + nameBytes
        while at + 4 <= plain.count {
            let length = Int(plain.span.bytes.littleEndian(at: at, as: UInt32.self))
            texts.append(Array(plain[(at + 4)..<(at + 4 + length)]))
            at += 4 + length
        }
        self.round = texts.first.flatMap { UpstreamRound($0) }
        texts = Array(texts.dropFirst())
        self.asked = texts.prefix(count).map { String(decoding: $0, as: UTF8.self) }
        let rest = Array(texts.dropFirst(count))
        for index in stride(from: 0, to: rest.count - 1, by: 2) {
            self.all.append(JSONMember(name: String(decoding: rest[index], as: UTF8.self), json: rest[index + 1]))
        }
    }

    private static let label = ["apus request state 3"]
    /// The time, the rounds, how many were asked, and the mark with its length.
    private static let headBytes = 21

    private static func append(_ bytes: [UInt8], to plain: inout [UInt8]) {
        plain.appendLittleEndian(UInt32(bytes.count))
        plain.append(contentsOf: bytes)
    }
}
