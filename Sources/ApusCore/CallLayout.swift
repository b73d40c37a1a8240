/// CALL: u32 number, then JSON: `{"name": …, "arguments": {…}}`. CALL_RESULT: the number again, then JSON, the result of the tool, or with the
/// flag `failed` an ``ErrorPayload``; with `more` the JSON goes on in another CALL_RESULT of the same number.
public struct CallLayout: Sendable, Equatable {
    public static let headBytes = 4

    /// Chosen by the worker: from 1, each higher than the one before it on its stream.
    public let number: UInt32
    public let json: Range<Int>

    public init(parsing bytes: RawSpan) throws(FrameError) {
        guard bytes.byteCount >= CallLayout.headBytes else { throw .truncated }
        self.number = bytes.littleEndian(at: 0, as: UInt32.self)
        guard self.number > 0 else { throw .malformed }
        self.json = CallLayout.headBytes..<bytes.byteCount
    }
}
