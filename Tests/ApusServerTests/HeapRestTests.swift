import Testing

@testable import ApusServer

@Suite("Memory of a server at rest")
struct HeapRestTests {
    @Test("what deployments took is given back once, a moment after the last of them")
    func once() {
        var rest = HeapRest()
        let looks = [3, 3, 3, 4, 5, 5, 5].map { rest.look(changes: $0) }
        #expect(looks == [false, true, false, false, false, true, false])
    }
}
