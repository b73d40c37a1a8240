internal import Glibc

/// One thing that was looked at.
struct HostCheck: Equatable {
    enum State: String {
        case ok
        /// Works, with less.
        case limited
        /// Functions do not run without it.
        case missing
        /// Nothing depends on it here.
        case info
    }

    var name: String
    var state: State
    var detail: String
}

/// What can be seen of this machine without making a sandbox. Reads files only, needs no rights.
struct HostChecks {
    private static let fileBytes = 64 * 1024

    func all() -> [HostCheck] { [self.kernel(), self.python(), self.pip(), self.node()] }

    private func kernel() -> HostCheck {
        HostCheck(name: "kernel", state: .info, detail: self.text("/proc/sys/kernel/osrelease") ?? "unknown")
    }

    private func python() -> HostCheck {
        access("/usr/bin/python3", X_OK) == 0
            ? HostCheck(name: "python3", state: .ok, detail: "/usr/bin/python3")
            : HostCheck(name: "python3", state: .missing, detail: "/usr/bin/python3 is not there: apt install python3")
    }

    private func pip() -> HostCheck {
        access("/usr/lib/python3/dist-packages/pip", F_OK) == 0
            ? HostCheck(name: "pip", state: .ok, detail: "of /usr/bin/python3")
            : HostCheck(
                name: "pip", state: .limited,
                detail: "functions with dependencies cannot be deployed: apt install python3-pip")
    }

    private func node() -> HostCheck {
        access("/usr/bin/node", X_OK) == 0
            ? HostCheck(name: "node", state: .ok, detail: "/usr/bin/node")
            : HostCheck(
                name: "node", state: .limited,
                detail: "/usr/bin/node is not there: functions with runtime: node cannot start: apt install nodejs")
    }

    func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.fileBytes)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { return nil }
        var text = String(decoding: bytes[..<count], as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
