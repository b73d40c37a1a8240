internal import ApusCore
internal import ApusJSON

/// What the handler of an accepted invocation asked its caller, and what was answered so far.
public struct InvocationQuestions: Sendable {
    public struct Item: Sendable {
        public var name: String
        /// JSON.
        public var json: [UInt8]

        public init(name: String, json: [UInt8]) {
            self.name = name
            self.json = json
        }
    }

    /// Then at the latest somebody must have answered.
    var until = Timestamp.zero
    var rounds = 0
    /// Those of the last round.
    private(set) var questions: [Item] = []
    /// Those of all rounds.
    private(set) var answers: [Item] = []

    init() {}

    /// The questions that nobody has answered.
    var open: [Item] { self.questions.filter { question in !self.answers.contains { $0.name == question.name } } }
    var isOpen: Bool { !self.open.isEmpty }

    /// Another round. What was asked before and answered stays answered.
    mutating func ask(_ questions: [Item], until: Timestamp) {
        self.questions = questions
        self.until = until
        self.rounds += 1
    }

    /// Takes answers to what is open.
    mutating func take(_ answers: [Item]) {
        let names = Set(self.open.map(\.name))
        for answer in answers where names.contains(answer.name) { self.answers.append(answer) }
    }

    /// One that a restart found.
    mutating func restore(answer: Item) { self.answers.append(answer) }

    // MARK: as JSON

    /// What the handler is given.
    var answersJSON: [UInt8] { Self.json(self.answers) }
    var openJSON: [UInt8] { Self.json(self.open) }

    /// Items as the members of one object: what ``items(_:)`` reads.
    public static func json(_ items: [Item]) -> [UInt8] {
        var json: [UInt8] = [UInt8(ascii: "{")]
        for (index, item) in items.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            JSONText.append(item.name, to: &json)
            json.append(UInt8(ascii: ":"))
            json.append(contentsOf: item.json)
        }
        json.append(UInt8(ascii: "}"))
        return json
    }

    /// The members of a JSON object; none of what is no such thing.
    public static func items(_ json: [UInt8]) -> [Item] {
        var items: [Item] = []
        json.withUnsafeBytes { text in
            guard let document = try? JSONSlices.document(text), document.kind == .object else { return }
            JSONSlices.forEachMember(of: document, in: text) {
                items.append(Item(name: String(decoding: $0, as: UTF8.self), json: Array(text[$1.range])))
            }
        }
        return items
    }

    // MARK: in the ledger

    /// Time, rounds, and the questions of the last round.
    var mark: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(UInt64(bitPattern: self.until.microseconds))
        bytes.appendLittleEndian(UInt32(self.rounds))
        return bytes + Self.json(self.questions)
    }

    mutating func restore(mark: [UInt8]) {
        guard mark.count > 12 else { return }
        mark.withUnsafeBytes { bytes in
            self.until = Timestamp(microseconds: bytes.bytes.littleEndian(at: 0, as: Int64.self))
            self.rounds = Int(bytes.bytes.littleEndian(at: 8, as: UInt32.self))
        }
        self.questions = Self.items(Array(mark[12...]))
    }
}
