internal import ApusCore

/// What tools mean, as an embedder put it: a vector each, of length 1, found by the digest of the tool. Kept in memory, within a bound.
public struct ToolVectors: Sendable {
    private var vectors: [String: [Float]] = [:]
    private(set) var dimensions = 0

    public init() {}

    public var count: Int { self.vectors.count }

    /// The tools of these that have none yet: what is to be embedded, in the order given.
    public func missing(of tools: [Tool]) -> [Tool] { tools.filter { self.vectors[$0.digest] == nil } }

    /// The text of a tool that an embedder is given.
    public static func text(of tool: Tool) -> String {
        let name = SearchTerms.words(tool.name.text).joined(separator: " ")
        let text = [name, tool.title, tool.description].compactMap { $0 }.joined(separator: ". ")
        return String(text.prefix(Limits.Tools.embeddedCharacters))
    }

    /// - Returns: false when it is no vector of the others' kind, or there is no more room.
    public mutating func add(_ vector: [Float], for tool: Tool) -> Bool {
        guard let unit = Self.unit(vector), self.dimensions == 0 || unit.count == self.dimensions else { return false }
        guard self.vectors[tool.digest] != nil || self.vectors.count < Limits.Tools.vectors else { return false }
        self.dimensions = unit.count
        self.vectors[tool.digest] = unit
        return true
    }

    /// Lets go of those of tools that are there no more.
    public mutating func keep(_ digests: Set<String>) {
        self.vectors = self.vectors.filter { digests.contains($0.key) }
        if self.vectors.isEmpty { self.dimensions = 0 }
    }

    /// How near each tool is to a question, from -1 to 1; nil for those without a vector.
    func nearness(_ tools: [Tool], to question: [Float]) -> [Float?] {
        guard let unit = Self.unit(question), unit.count == self.dimensions else {
            return [Float?](repeating: nil, count: tools.count)
        }
        return tools.map { tool in self.vectors[tool.digest].map { Self.product($0, unit) } }
    }

    private static func unit(_ vector: [Float]) -> [Float]? {
        guard (1...Limits.Tools.vectorDimensions).contains(vector.count), vector.allSatisfy(\.isFinite) else { return nil }
        let length = self.product(vector, vector).squareRoot()
        guard length > 0 else { return nil }
        return vector.map { $0 / length }
    }

    /// Eight at a time, which the machine does at once.
    private static func product(_ left: [Float], _ right: [Float]) -> Float {
        left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in
                var sums = SIMD8<Float>()
                var at = 0
                while at + 8 <= left.count {
                    var one = SIMD8<Float>()
                    var two = SIMD8<Float>()
                    for lane in 0..<8 {
                        one[lane] = left[at + lane]
                        two[lane] = right[at + lane]
                    }
                    sums += one * two
                    at += 8
                }
                var sum = sums.sum()
                while at < left.count {
                    sum += left[at] * right[at]
                    at += 1
                }
                return sum
            }
        }
    }
}
