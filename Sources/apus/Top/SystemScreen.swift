internal import ApusCore
internal import CShims
internal import Glibc

/// The terminal of this process: its second screen, without cursor and without line editing. What it was is put back at the end,
/// whatever the end is: a key, a signal, an error or a crash.
final class SystemScreen: LiveScreen {
    private let input: CInt
    private let signals: CInt
    private static let keyBytes = 256
    private static let fallback = (columns: 80, rows: 24)

    private static let ending = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
    private static let taken = ending + [SIGWINCH, SIGTSTP]

    /// - Throws: `internal` when the terminal does not allow it.
    init() throws(ApusError) {
        // Keys come from the terminal even where standard input is something else.
        let terminal = isatty(STDIN_FILENO) == 1 ? STDIN_FILENO : open("/dev/tty", O_RDONLY | O_CLOEXEC)
        self.input = terminal
        // A handler and a pipe, since any thread may be given a signal, those of libraries too.
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw ApusError(.internal, "no pipe for signals: \(String(cString: strerror(errno)))")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        self.signals = ends[0]
        signalPipe = ends[1]
        var mode = termios()
        if self.input >= 0, tcgetattr(self.input, &mode) == 0 {
            savedMode = SavedMode(descriptor: self.input, mode: mode)
        }
        for signal in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                restoreTerminal()
                raise(number)
            }
            // The second time, once the handler is through, it does what it does to any process.
            action.sa_flags = CInt(bitPattern: UInt32(SA_RESETHAND))
            sigaction(signal, &action, nil)
        }
        self.takeSignals()
        self.enter()
    }

    private func takeSignals() {
        var all = sigset_t()
        sigemptyset(&all)
        for signal in Self.taken {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                let saved = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(signalPipe, &byte, 1)
                errno = saved
            }
            action.sa_flags = SA_RESTART
            sigaction(signal, &action, nil)
            sigaddset(&all, signal)
        }
        pthread_sigmask(SIG_UNBLOCK, &all, nil)
    }

    var size: (columns: Int, rows: Int) {
        let size = (Int(apus_terminal_columns(STDOUT_FILENO)), Int(apus_terminal_rows(STDOUT_FILENO)))
        return size.0 > 0 && size.1 > 0 ? size : Self.fallback
    }

    func show(_ lines: [String], isFresh: Bool) throws(TerminalClosed) {
        // Between these two the terminal shows nothing, where it knows them: no half of a screen is seen.
        var text = "\u{1B}[?2026h" + (isFresh ? "\u{1B}[2J" : "") + "\u{1B}[H"
        text += lines.joined(separator: "\r\n")
        text += "\u{1B}[J\u{1B}[?2026l"
        guard writeTerminal(Array(text.utf8)) else { throw TerminalClosed() }
    }

    func next(_ other: CInt, milliseconds: Int) -> LiveScreenInput {
        var descriptors = [self.signals, other, self.input].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&descriptors, nfds_t(descriptors.count), CInt(clamping: milliseconds)) > 0 else { return .nothing }
        var number: UInt8 = 0
        switch read(self.signals, &number, 1) == 1 ? CInt(number) : 0 {
        case SIGWINCH: return .resized
        case SIGTSTP: return .suspended
        case let signal where Self.ending.contains(signal): return .ended(signal)
        default: break
        }
        guard descriptors[2].revents != 0 else { return .nothing }
        var bytes = [UInt8](repeating: 0, count: Self.keyBytes)
        let count = bytes.withUnsafeMutableBytes { read(self.input, $0.baseAddress, $0.count) }
        if count > 0 { return .keys(Array(bytes[..<count])) }
        // A terminal that is gone gives no key any more.
        return count < 0 && errno == EINTR ? .nothing : .ended(SIGHUP)
    }

    func suspend() {
        restoreTerminal()
        kill(getpid(), SIGSTOP)
        self.enter()
    }

    func leave() {
        restoreTerminal()
        for number in Self.taken { signal(number, SIG_DFL) }
    }

    /// Ends the process as a signal does that nobody takes, so that whoever sent it sees so; even where it was started with that signal
    /// blocked or ignored. After ``leave()``.
    static func end(by number: Int32) {
        signal(number, SIG_DFL)
        var one = sigset_t()
        sigemptyset(&one)
        sigaddset(&one, number)
        pthread_sigmask(SIG_UNBLOCK, &one, nil)
        raise(number)
    }

    private func enter() {
        if var mode = savedMode?.mode {
            cfmakeraw(&mode)
            tcsetattr(self.input, TCSADRAIN, &mode)
        }
        // The second screen, no cursor, no line breaks of the terminal's own.
        _ = writeTerminal(Array("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l".utf8))
    }
}

private struct SavedMode {
    var descriptor: CInt
    var mode: termios
}

// SAFETY: written once, by the one thread that makes the screen, before the handlers that read it are there.
nonisolated(unsafe) private var savedMode: SavedMode?
// SAFETY: as that of the mode.
nonisolated(unsafe) private var signalPipe: CInt = -1
/// Of static bytes: a handler of signals may not make a value.
private let leaving: StaticString = "\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

/// Safe in a handler of signals.
private func restoreTerminal() {
    _ = write(STDOUT_FILENO, leaving.utf8Start, leaving.utf8CodeUnitCount)
    guard var saved = savedMode else { return }
    tcsetattr(saved.descriptor, TCSANOW, &saved.mode)
}

/// - Returns: false when nobody looks any more.
private func writeTerminal(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR || errno == EAGAIN { continue }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
    }
    return true
}
