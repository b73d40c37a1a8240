internal import ApusCore
public import ApusEngine

extension LedgerState {
    /// The same deliveries settled, waiting and untouched, where their records lie now. What was settled of records that are gone
    /// is gone with them, and so are attempts at records that retention took.
    public func moved(by map: OffsetMap) -> LedgerState {
        var moved = LedgerState(watermark: map.position(of: self.watermark))
        for range in self.settled {
            let (start, end) = (map.position(of: range.lowerBound), map.position(of: range.upperBound))
            if start >= end { continue }
            if start <= moved.watermark {
                // The gap before it held nothing.
                moved.watermark = max(moved.watermark, end)
            } else if let last = moved.settled.last, last.upperBound >= start {
                moved.settled[moved.settled.count - 1] = last.lowerBound..<max(last.upperBound, end)
            } else {
                moved.settled.append(start..<end)
            }
        }
        for pending in self.pending {
            guard let offset = map.place(of: pending.offset), offset >= moved.watermark else { continue }
            moved.pending.append(Pending(offset: offset, attempts: pending.attempts, nextDue: pending.nextDue))
        }
        return moved
    }
}
