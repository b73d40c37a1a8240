/// Takes secrets out of a text that comes in parts, as ``SecretMasks/apply(_:)`` does of the whole one. What may be the beginning of a secret
/// waits for the part after it: at most one byte less than the longest secret.
public struct MaskedParts {
    private let masks: SecretMasks
    /// The end of the text so far, which is not told yet.
    private var held: [UInt8] = []
    /// How much of it belongs to a secret that was told as stars already.
    private var covered = 0
    /// Whether a secret was told as stars.
    public private(set) var hasFound = false

    public init(_ masks: SecretMasks) { self.masks = masks }

    /// - Returns: what may be told now.
    public mutating func take(_ part: [UInt8]) -> [UInt8] {
        guard !self.masks.isEmpty else { return part }
        self.held += part
        return self.tell(upTo: max(0, self.held.count - self.masks.longest + 1))
    }

    /// - Returns: the rest.
    public mutating func end() -> [UInt8] { self.masks.isEmpty ? [] : self.tell(upTo: self.held.count) }

    private mutating func tell(upTo end: Int) -> [UInt8] {
        var told: [UInt8] = []
        let at = self.masks.apply(self.held, from: self.covered, upTo: end, into: &told)
        if at > self.covered { self.hasFound = true }
        if at < end { told += self.held[at..<end] }
        self.covered = max(0, at - end)
        self.held.removeFirst(end)
        return told
    }
}
