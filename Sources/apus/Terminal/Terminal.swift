internal import ApusCore

/// What a command sees of the world around it: where it writes, what it reads, what time it is.
protocol Terminal: AnyObject {
    /// Standard output. Throws ``TerminalClosed`` when nobody reads it any more.
    func write(_ bytes: [UInt8]) throws(TerminalClosed)
    /// Standard error; what cannot be written there is nobody's loss.
    func writeError(_ text: String)
    /// The next bytes of standard input; empty at its end.
    func readInput() throws(ApusError) -> [UInt8]
    /// Whether a person types standard input.
    var isInputInteractive: Bool { get }
    /// A line that a person types without seeing it.
    func readHidden(_ prompt: String) throws(ApusError) -> [UInt8]
    /// Whether a person looks at standard output.
    var isInteractive: Bool { get }
    var isErrorInteractive: Bool { get }
    /// Columns of the screen; nil when output is no screen.
    var width: Int? { get }
    var now: Timestamp { get }
    /// Waits.
    func pause(milliseconds: UInt32)
}

/// The reader of standard output has gone (`apus get functions | head -1`): the command ends, and quietly.
struct TerminalClosed: Error {}

extension Terminal {
    var isInputInteractive: Bool { false }
    func readHidden(_ prompt: String) throws(ApusError) -> [UInt8] { try self.readInput() }

    func write(_ text: String) throws(TerminalClosed) { try self.write(Array(text.utf8)) }
    func line(_ text: String) throws(TerminalClosed) { try self.write(text + "\n") }
}
