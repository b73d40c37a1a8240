import ApusCore
import ApusTestSupport
import Testing

@Suite struct CollectionTests {
    @Test func aDequeBehavesLikeAnArray() {
        var generator = SeededGenerator(seed: 21)
        var deque = Deque<Int>()
        var model: [Int] = []
        for step in 0..<20_000 {
            switch Int.random(in: 0..<7, using: &generator) {
            case 0, 1:
                deque.append(step)
                model.append(step)
            case 2:
                deque.prepend(step)
                model.insert(step, at: 0)
            case 3, 4: #expect(deque.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            case 5: #expect(deque.popLast() == model.popLast())
            default:
                guard !model.isEmpty else { continue }
                let index = Int.random(in: 0..<model.count, using: &generator)
                deque[index] = -step
                model[index] = -step
            }
            #expect(deque.count == model.count)
            #expect(deque.first == model.first)
            #expect(deque.last == model.last)
        }
        #expect((0..<deque.count).map { deque[$0] } == model)
        deque.removeAll()
        #expect(deque.isEmpty)
        #expect(deque.popFirst() == nil)
    }

    @Test func aDequeWithCapacityTakesMoreThanThat() {
        var deque = Deque<Int>(minimumCapacity: 10)
        for value in 0..<100 { deque.append(value) }
        #expect((0..<100).map { deque[$0] } == Array(0..<100))
    }

    @Test func aHeapGivesTheSmallestFirst() {
        var generator = SeededGenerator(seed: 22)
        for count in 0..<200 {
            let values = (0..<count).map { _ in Int.random(in: 0..<50, using: &generator) }
            var heap = BinaryHeap<Int>()
            for value in values { heap.insert(value) }
            #expect(heap.count == count)
            #expect(heap.first == values.min())
            var taken: [Int] = []
            while let value = heap.popFirst() { taken.append(value) }
            #expect(taken == values.sorted())
            #expect(heap.isEmpty)
        }
    }

    @Test func timesOverflowToTheDistantFuture() {
        #expect(Timestamp.distantFuture + .seconds(1) == .distantFuture)
        #expect(Timestamp(milliseconds: 5) - Timestamp(milliseconds: 3) == .milliseconds(2))
        #expect(TimeSpan.seconds(30).description == "30s")
        #expect(TimeSpan.milliseconds(1_500).description == "1500ms")
        #expect(TimeSpan.seconds(7 * 86_400).description == "7d")
        #expect(TimeSpan.zero.description == "0s")
        #expect(TimeSpan.microseconds(7).description == "7us")
    }
}
