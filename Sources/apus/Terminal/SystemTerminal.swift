internal import ApusCore
internal import ApusLoop
internal import CShims
internal import Glibc

/// The process's own standard input, output and error.
final class SystemTerminal: Terminal {
    private static let chunkBytes = 64 * 1024
    private let clock = SystemClock()
    let isInteractive = isatty(STDOUT_FILENO) == 1
    let isErrorInteractive = isatty(STDERR_FILENO) == 1

    var now: Timestamp { self.clock.now }

    var width: Int? {
        guard self.isInteractive else { return nil }
        if let columns = getenv("COLUMNS").flatMap({ Int(String(cString: $0)) }), columns > 0 { return columns }
        let columns = Int(apus_terminal_columns(STDOUT_FILENO))
        return columns > 0 ? columns : nil
    }

    func write(_ bytes: [UInt8]) throws(TerminalClosed) {
        guard Self.writeAll(STDOUT_FILENO, bytes) else { throw TerminalClosed() }
    }

    func pause(milliseconds: UInt32) { usleep(milliseconds * 1_000) }

    func writeError(_ text: String) { _ = Self.writeAll(STDERR_FILENO, Array(text.utf8)) }

    func readInput() throws(ApusError) -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count >= 0 { return Array(chunk[..<count]) }
            guard errno == EINTR else {
                throw ApusError(.invalidArgument, "standard input cannot be read: \(String(cString: strerror(errno)))")
            }
        }
    }

    let isInputInteractive = isatty(STDIN_FILENO) == 1

    func readHidden(_ prompt: String) throws(ApusError) -> [UInt8] {
        self.writeError(prompt)
        guard apus_terminal_hide_input(STDIN_FILENO) == 0 else {
            throw ApusError(
                .invalidArgument, "the terminal cannot hide what is typed: pipe the value in, or use --data @FILE")
        }
        defer {
            apus_terminal_show_input(STDIN_FILENO)
            self.writeError("\n")
        }
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n") {
            let more = try self.readInput()
            if more.isEmpty { break }
            line += more
        }
        return line
    }

    private static func writeAll(_ descriptor: CInt, _ bytes: [UInt8]) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                // A descriptor shared with a non-blocking program: wait until it takes more.
                guard errno == EAGAIN else { return false }
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = Glibc.poll(&poll, 1, -1)
                continue
            }
            written += count
        }
        return true
    }
}
