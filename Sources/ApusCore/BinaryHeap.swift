/// A priority queue: the smallest element first, insert and removal in O(log n).
public struct BinaryHeap<Element: Comparable> {
    private var elements: [Element] = []

    public init() {}

    public var isEmpty: Bool { self.elements.isEmpty }
    public var count: Int { self.elements.count }
    public var first: Element? { self.elements.first }

    public mutating func insert(_ element: Element) {
        self.elements.append(element)
        var child = self.elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.elements[child] < self.elements[parent] else { return }
            self.elements.swapAt(child, parent)
            child = parent
        }
    }

    @discardableResult
    public mutating func popFirst() -> Element? {
        guard let first = self.elements.first, let last = self.elements.popLast() else { return nil }
        guard !self.elements.isEmpty else { return first }
        self.elements[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < self.elements.count && self.elements[child] < self.elements[smallest] {
                smallest = child
            }
            guard smallest != parent else { return first }
            self.elements.swapAt(parent, smallest)
            parent = smallest
        }
    }
}

extension BinaryHeap: Sendable where Element: Sendable {}
