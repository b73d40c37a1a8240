#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The few calls to the system, blocking: the session has a thread for its reading.
enum Descriptors {
    /// Whether somebody gave us this pipe: what the concurrency runtime opened for itself may have the same number.
    static func isPipe(_ descriptor: CInt) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    /// - Returns: bytes read; 0 at the end, also of a broken pipe.
    static func read(_ descriptor: CInt, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            let count = systemRead(descriptor, buffer)
            if count >= 0 { return count }
            guard errno == EINTR else { return 0 }
        }
    }

    static func writeAll(_ descriptor: CInt, _ bytes: [UInt8]) -> Bool {
        guard descriptor >= 0 else { return false }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: $0[written...]))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }

    static func close(_ descriptor: CInt) { systemClose(descriptor) }

    /// The whole of a memory file, which cannot change any more: it is sealed.
    static func contents(of descriptor: CInt, count: Int) -> [UInt8]? {
        var status = stat()
        guard fstat(descriptor, &status) == 0, Int(status.st_size) == count else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        var at = 0
        while at < count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress?.advanced(by: at), count - at, off_t(at))
            }
            guard got > 0 else { return nil }
            at += got
        }
        return bytes
    }

    static func size(of descriptor: CInt) -> Int? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : nil
    }

    /// A message of descriptor 5: the stream it is for, and a descriptor.
    ///
    /// The layout of the control message is the kernel's, on 64 bits: length, level, type, and the descriptor at 16.
    static func receive(_ socket: CInt) -> (stream: UInt64, descriptor: CInt)? {
        var stream: UInt64 = 0
        var control: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let count = withUnsafeMutablePointer(to: &stream) { stream in
            withUnsafeMutablePointer(to: &control) { control in
                var part = iovec(iov_base: stream, iov_len: 8)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = UnsafeMutableRawPointer(control)
                    message.msg_controllen = 32
                    var got = -1
                    repeat { got = recvmsg(socket, &message, CInt(MSG_CMSG_CLOEXEC)) } while got < 0 && errno == EINTR
                    return got
                }
            }
        }
        let descriptor = withUnsafeBytes(of: control) { control -> CInt? in
            guard control.load(as: UInt64.self) == 20, control.load(fromByteOffset: 8, as: CInt.self) == SOL_SOCKET,
                control.load(fromByteOffset: 12, as: CInt.self) == 1 /* SCM_RIGHTS */
            else { return nil }
            return control.load(fromByteOffset: 16, as: CInt.self)
        }
        guard count == 8, let descriptor else { return nil }
        return (UInt64(littleEndian: stream), descriptor)
    }

    /// Runs `body` on a thread of its own, which nobody waits for: it ends with the session.
    static func startThread(_ body: @escaping @Sendable () -> Void) {
        final class Box: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        precondition(error == 0, "no thread for the session: raise spec.resources.processes")
        pthread_detach(thread)
    }

    /// What `print` wrote goes out now: to a pipe it would wait for a full buffer.
    static func flushOutput() { fflush(nil) }

    static func say(_ text: String) { _ = Self.writeAll(2, Array((text + "\n").utf8)) }

    static func leave(_ code: Int32) -> Never {
        Self.flushOutput()
        exit(code)
    }
}

private func systemRead(_ descriptor: CInt, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
    read(descriptor, buffer.baseAddress, buffer.count)
}
private func systemWrite(_ descriptor: CInt, _ buffer: UnsafeRawBufferPointer) -> Int {
    write(descriptor, buffer.baseAddress, buffer.count)
}
private func systemClose(_ descriptor: CInt) { _ = close(descriptor) }

enum Clock {
    /// Since 1970-01-01 UTC, as deadlines are.
    static func microseconds() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
    }
}
