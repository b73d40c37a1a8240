internal import ApusCore

/// A screen that is drawn again and again, and its keys. One thread.
protocol LiveScreen: AnyObject {
    var size: (columns: Int, rows: Int) { get }
    /// Replaces what is shown.
    /// - Parameter isFresh: draws over whatever else was written there.
    func show(_ lines: [String], isFresh: Bool) throws(TerminalClosed)
    /// Waits for what happens next.
    /// - Parameter other: a descriptor that ends the wait too, once it is readable.
    func next(_ other: CInt, milliseconds: Int) -> LiveScreenInput
    /// Hands the terminal to the shell until this process is continued.
    func suspend()
    /// Gives the terminal back as it was. Once.
    func leave()
}

enum LiveScreenInput: Equatable {
    case keys([UInt8])
    case resized
    /// A signal that ends the process asks it to.
    case ended(Int32)
    case suspended
    /// The time is over, or the other descriptor is readable.
    case nothing
}
