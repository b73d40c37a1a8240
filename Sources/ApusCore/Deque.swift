/// A double-ended queue in a ring: append, popFirst and access by index in O(1).
public struct Deque<Element> {
    private var storage: [Element?]
    private var head = 0
    public private(set) var count = 0

    public init() { self.storage = [] }

    public init(minimumCapacity: Int) {
        self.storage = Array(repeating: nil, count: Deque.capacity(for: minimumCapacity))
    }

    private static func capacity(for count: Int) -> Int {
        var capacity = 8
        while capacity < count { capacity *= 2 }
        return capacity
    }

    public var isEmpty: Bool { self.count == 0 }
    public var first: Element? { self.count == 0 ? nil : self.storage[self.head] }
    public var last: Element? { self.count == 0 ? nil : self.storage[self.slot(self.count - 1)] }

    private func slot(_ index: Int) -> Int { (self.head + index) & (self.storage.count - 1) }

    public subscript(index: Int) -> Element {
        get {
            precondition(index >= 0 && index < self.count, "index out of range")
            guard let element = self.storage[self.slot(index)] else {
                preconditionFailure("an element within count is there")
            }
            return element
        }
        set {
            precondition(index >= 0 && index < self.count, "index out of range")
            self.storage[self.slot(index)] = newValue
        }
    }

    public mutating func append(_ element: Element) {
        if self.count == self.storage.count { self.grow() }
        self.storage[self.slot(self.count)] = element
        self.count += 1
    }

    public mutating func prepend(_ element: Element) {
        if self.count == self.storage.count { self.grow() }
        self.head = (self.head + self.storage.count - 1) & (self.storage.count - 1)
        self.storage[self.head] = element
        self.count += 1
    }

    @discardableResult
    public mutating func popFirst() -> Element? {
        guard self.count > 0 else { return nil }
        let element = self.storage[self.head]
        self.storage[self.head] = nil
        self.head = (self.head + 1) & (self.storage.count - 1)
        self.count -= 1
        return element
    }

    @discardableResult
    public mutating func popLast() -> Element? {
        guard self.count > 0 else { return nil }
        let slot = self.slot(self.count - 1)
        let element = self.storage[slot]
        self.storage[slot] = nil
        self.count -= 1
        return element
    }

    public mutating func removeAll() {
        self.storage = []
        self.head = 0
        self.count = 0
    }

    private mutating func grow() {
        var larger = [Element?](repeating: nil, count: Deque.capacity(for: self.count + 1))
        for index in 0..<self.count { larger[index] = self.storage[self.slot(index)] }
        self.storage = larger
        self.head = 0
    }
}

extension Deque: Sendable where Element: Sendable {}
