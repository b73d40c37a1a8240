internal import ApusCore
internal import ApusJSON
internal import Synchronization

/// The lines of a session, which come from several threads.
final class DevScreen: @unchecked Sendable {
    // SAFETY: the terminal is used while `lock` is held.
    private let terminal: any Terminal
    private let lock = Mutex(())
    private let isColoured: Bool

    private enum Colour: String {
        case red = "31"
        case green = "32"
        case grey = "90"
        case blue = "34"
    }

    init(_ terminal: any Terminal) {
        self.terminal = terminal
        self.isColoured = terminal.isInteractive
    }

    func note(_ text: String) { self.line("·", text, .grey) }
    func success(_ text: String) { self.line("✔", text, .green) }
    func failure(_ text: String) { self.line("✘", text, .red) }

    /// A line that a function printed.
    func log(_ function: String, _ line: JSONValue) {
        let level = line["level"]?.string ?? "info"
        let isBad = level == "error" || level == "warning"
        self.line("|", "\(function)  \(level)  \(line["text"]?.string ?? "")", isBad ? .red : nil)
    }

    func reply(_ topic: String, _ event: JSONValue) {
        let data =
            event["data"].map { String(decoding: $0.encoded(), as: UTF8.self) } ?? event["data_base64"]?.string ?? ""
        self.line("→", "\(topic)  \(data)", .blue)
    }

    func result(_ function: String, _ body: [UInt8], _ took: String) {
        self.line("=", "\(function) answered in \(took)", .blue)
        var text = String(decoding: body, as: UTF8.self)
        do throws(ApusError) { text = try JSONValue.parse(body, refusesDuplicates: false).pretty } catch {
            // What is not JSON is shown as it is.
        }
        self.write(text.hasSuffix("\n") ? text : text + "\n")
    }

    private func line(_ mark: String, _ text: String, _ colour: Colour?) {
        guard let colour, self.isColoured else { return self.write("\(mark) \(text)\n") }
        self.write("\u{1B}[\(colour.rawValue)m\(mark) \(text)\u{1B}[0m\n")
    }

    private func write(_ text: String) {
        self.lock.withLock { _ in
            // Whoever looked has gone: the next write of the session's own ends it.
            do throws(TerminalClosed) { try self.terminal.write(text) } catch {}
        }
    }
}
