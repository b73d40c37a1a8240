internal import ApusCore
internal import ApusJSON
internal import Synchronization

/// The lines of a session, which come from several threads.
final class DevScreen: @unchecked Sendable {
    // SAFETY: the terminal is used while `lock` is held.
    private let terminal: any Terminal
    private let lock = Mutex(())
    private let paint: Paint

    init(_ terminal: any Terminal, _ paint: Paint) {
        self.terminal = terminal
        self.paint = paint
    }

    func note(_ text: String) { self.line("·", text, .dim) }
    func success(_ text: String) { self.line("✔", text, .good) }
    func failure(_ text: String) { self.line("✘", text, .bad) }

    /// A line that a function printed.
    func log(_ function: String, _ line: JSONValue) {
        let level = line["level"]?.string ?? "info"
        let isBad = level == "error" || level == "warning"
        self.line("|", "\(function)  \(level)  \(line["text"]?.string ?? "")", isBad ? .bad : .plain)
    }

    func reply(_ topic: String, _ event: JSONValue) {
        let data =
            event["data"].map { String(decoding: $0.encoded(), as: UTF8.self) } ?? event["data_base64"]?.string ?? ""
        self.line("→", "\(topic)  \(data)", .name)
    }

    func result(_ function: String, _ body: [UInt8], _ took: String) {
        self.line("=", "\(function) answered in \(took)", .name)
        var text = String(decoding: body, as: UTF8.self)
        do throws(ApusError) { text = try JSONValue.parse(body, refusesDuplicates: false).pretty } catch {
            // What is not JSON is shown as it is.
        }
        self.write(text.hasSuffix("\n") ? text : text + "\n")
    }

    private func line(_ mark: String, _ text: String, _ style: TextStyle) {
        self.write(self.paint("\(mark) \(SafeText.of(text))", style) + "\n")
    }

    private func write(_ text: String) {
        self.lock.withLock { _ in
            // Whoever looked has gone: the next write of the session's own ends it.
            do throws(TerminalClosed) { try self.terminal.write(text) } catch {}
        }
    }
}
