public import ApusCore

/// A value that an expression comes to.
enum FilterValue {
    case boolean(Bool)
    case integer(Int32)
    case text(FilterText)

    /// What stands for a text that could not be made.
    static let emptyText = FilterValue.text(FilterText(source: .made, range: 0..<0))
}

/// Where a text lies: no evaluation copies one that it only looks at.
struct FilterText {
    enum Source { case event, program, made }

    var source: Source
    var range: Range<Int>
}

/// A value within data, as whoever can read the data's format found it.
public enum FilterDataValue: Sendable, Equatable {
    case boolean(Bool)
    case integer(Int32)
    /// A text that lies in the data as it is.
    case part(Range<Int>)
    /// A text that had to be made.
    case made([UInt8])
}

/// Finds values in JSON data, for each path what is there: the engine itself reads no JSON.
public typealias FilterDataReader =
    @Sendable (
        _ data: UnsafeRawBufferPointer, _ paths: [[DataStep]]
    ) -> [FilterDataValue?]

/// What a filter said of an event.
public struct FilterOutcome: Sendable, Equatable {
    public var isMatch: Bool
    /// The first error of an expression that was evaluated.
    public var error: FilterError?

    public init(isMatch: Bool, error: FilterError? = nil) {
        self.isMatch = isMatch
        self.error = error
    }
}

/// What one evaluation knows and has made.
struct FilterState {
    /// What a lookup found.
    enum Slot {
        case nothing
        case value(kind: UInt8, Range<Int>)
    }

    let event: UnsafeRawBufferPointer
    let layout: EventLayout
    let slots: UnsafeMutableBufferPointer<Slot>
    let reader: FilterDataReader?
    /// Nil until a value within the data is asked for.
    var data: [FilterDataValue?]?
    /// Texts that were made.
    var made: [UInt8] = []
    private var read = 0
    /// Why the expression that is being evaluated has failed.
    private(set) var error: FilterError?
    /// The first of all errors.
    private(set) var firstError: FilterError?

    init(
        _ event: UnsafeRawBufferPointer, _ layout: EventLayout, _ slots: UnsafeMutableBufferPointer<Slot>,
        _ reader: FilterDataReader?
    ) {
        self.event = event
        self.layout = layout
        self.slots = slots
        self.reader = reader
    }

    var hasFailed: Bool { self.error != nil }

    mutating func fail(_ error: FilterError) {
        if self.error == nil { self.error = error }
        if self.firstError == nil { self.firstError = error }
    }

    /// Another expression begins.
    mutating func recover() { self.error = nil }

    /// Counts text that is looked at.
    /// - Returns: false when it was too much.
    mutating func charge(_ count: Int) -> Bool {
        self.read += count
        guard self.read <= Limits.Filter.readBytes else {
            self.fail(.generic)
            return false
        }
        return true
    }

    /// - Returns: false when there is no room for so much text.
    mutating func hasRoom(_ count: Int) -> Bool {
        guard self.made.count + count <= Limits.Filter.madeBytes else {
            self.fail(.generic)
            return false
        }
        return true
    }

    /// What was made since the texts had this length.
    func madeText(since start: Int) -> FilterText { FilterText(source: .made, range: start..<self.made.count) }
}
