internal import ApusCore

/// When a log gives back the pages of its file that it has looked at. What is mapped counts as the process's memory, and a log that has
/// come to rest would keep as much as it ever wrote. While it works they stay: it looks at them again. Pure.
struct MapRest {
    /// Written since the last look.
    private var written: Int64 = 0
    /// Written before and not given back. A log that was opened has been read.
    private var mapped: Int64 = Limits.Log.restBytes

    mutating func wrote(_ bytes: Int64) { self.written += bytes }

    /// Looks at what was done since the last time, about a second ago.
    /// - Returns: whether the pages are to be given back.
    mutating func look() -> Bool {
        let isAtRest = self.written < Limits.Log.restBytes
        // What little work there is finds its pages again, where no work is nobody looks for them.
        let enough = self.written == 0 ? Limits.Log.pauseBytes : Limits.Log.restBytes
        self.mapped += self.written
        self.written = 0
        guard isAtRest, self.mapped >= enough else { return false }
        self.mapped = 0
        return true
    }
}
