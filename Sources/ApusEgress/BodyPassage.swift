internal import ApusCore

/// Says where a request's body ends, so that nothing behind it is passed on: it would be another request, on a connection that may
/// carry a secret.
struct BodyPassage: Equatable {
    enum Framing: Equatable {
        case length(UInt64)
        case chunked
    }

    private enum State: Equatable {
        case counted(UInt64)
        /// The digits of a chunk's length, of which there have been some.
        case size(UInt64, digits: Int)
        case sizeEnd(UInt64)
        case data(UInt64)
        case dataReturn
        case dataEnd
        case lastReturn
        case lastEnd
        case done
    }

    private var state: State

    init(_ framing: Framing) {
        switch framing {
        case .length(0): self.state = .done
        case .length(let length): self.state = .counted(length)
        case .chunked: self.state = .size(0, digits: 0)
        }
    }

    var isDone: Bool { self.state == .done }

    /// - Returns: how many of the bytes, from the first, belong to the body; nil when they are no body.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        while index < bytes.count {
            switch self.state {
            case .done: return index
            case .counted(let left):
                let count = Int(min(left, UInt64(bytes.count - index)))
                index += count
                self.state = left == UInt64(count) ? .done : .counted(left - UInt64(count))
            case .data(let left):
                let count = Int(min(left, UInt64(bytes.count - index)))
                index += count
                self.state = left == UInt64(count) ? .dataReturn : .data(left - UInt64(count))
            default:
                guard self.step(bytes[index]) else { return nil }
                index += 1
            }
        }
        return index
    }

    /// One byte of the framing. Extensions and trailers are refused: nobody needs them, and readers differ over them.
    private mutating func step(_ byte: UInt8) -> Bool {
        switch (self.state, byte) {
        case (.size(let size, let digits), 0x0D) where digits > 0: self.state = .sizeEnd(size)
        case (.size(let size, let digits), _):
            guard digits < Limits.Egress.chunkDigits, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                return false
            }
            self.state = .size(size << 4 | UInt64(digit), digits: digits + 1)
        case (.sizeEnd(let size), 0x0A): self.state = size == 0 ? .lastReturn : .data(size)
        case (.dataReturn, 0x0D): self.state = .dataEnd
        case (.dataEnd, 0x0A): self.state = .size(0, digits: 0)
        case (.lastReturn, 0x0D): self.state = .lastEnd
        case (.lastEnd, 0x0A): self.state = .done
        default: return false
        }
        return true
    }
}
