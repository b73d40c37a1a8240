internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusTools

/// One text on its way through the embedder: an event `{"text": …}`, whose answer is `{"vector": […]}`. On the loop of who asks.
final class Embedding: ResponseSink {
    private var completion: (([Float]?) -> Void)?

    /// - Parameter completion: called once; nil for whatever is no vector.
    init(_ completion: @escaping ([Float]?) -> Void) { self.completion = completion }

    static func event(_ text: String, id: InvocationID) -> [UInt8] {
        var data = Array(#"{"text":"#.utf8)
        JSONText.append(text, to: &data)
        data.append(UInt8(ascii: "}"))
        return ToolEvent(
            kind: .embedding, identity: id.description, subject: "", capabilities: "", caller: "apus", traceparent: nil
        ).block(data[...])
    }

    /// Harmless after an answer.
    func end(_ vector: [Float]?) {
        let completion = self.completion
        self.completion = nil
        completion?(vector)
    }

    func onResult(_ block: UnsafeRawBufferPointer) {
        guard let layout = try? EventLayout(parsing: block.bytes), !layout.isNull, layout.data.count == layout.dataCount
        else { return self.end(nil) }
        self.end(Self.vector(Array(block[layout.data])))
    }

    private static func vector(_ json: [UInt8]) -> [Float]? {
        // Whatever else the function answers is no vector, and the search goes on by words.
        guard let numbers = (try? JSONValue.parse(json))?["vector"]?.array,
            numbers.count <= Limits.Tools.vectorDimensions
        else { return nil }
        let vector = numbers.compactMap { $0.double.map(Float.init) }
        return vector.count == numbers.count ? vector : nil
    }

    func onStart(_ block: UnsafeRawBufferPointer) {}
    func onPart(_ bytes: UnsafeRawBufferPointer) {}
    func onEnd() { self.end(nil) }
    func onFailure(_ failure: Failure) { self.end(nil) }
}
