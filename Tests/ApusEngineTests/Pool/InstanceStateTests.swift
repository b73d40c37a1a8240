import Testing

@testable import ApusEngine

struct InstanceStateTests {
    private static let states: [InstanceState] =
        [.absent, .ready, .busy(1), .busy(3), .sleeping, .draining, .stopped, .quarantined]
        + StartPhase.allCases.map { .starting($0) }
    private static let events: [InstanceEvent] = [
        .start(from: .disk), .start(from: .remote), .use(1), .use(0), .use(-1), .sleep, .wake, .drain, .stop, .fetched,
        .forked,
        .loaded, .warmed, .woken, .released(1), .released(4), .released(0), .failed, .returned, .leaked, .cleared,
    ]

    @Test func aBusyInstanceIsNeverPutToSleepNorStopped() {
        for event in [InstanceEvent.sleep, .stop, .wake] { #expect(InstanceState.busy(2).after(event) == nil) }
        #expect(InstanceState.busy(2).after(.drain) == .draining)
        #expect(!InstanceState.busy(1).isEvictable)
    }

    @Test func noEventMakesUpOrLosesRuns() {
        for event in Self.events {
            guard case .busy(let count)? = InstanceState.busy(3).after(event) else { continue }
            switch event {
            case .use(let more): #expect(count == 3 + more && more > 0)
            case .released(let less): #expect(count == 3 - less && less > 0)
            default: Issue.record("\(event) leaves \(count) runs")
            }
        }
        #expect(InstanceState.busy(3).after(.released(4)) == nil)
    }

    /// Whatever is on a device comes off it only through a state in which the device is watched until the memory is back.
    @Test func memoryIsGivenBackOnlyByWhatWasSeenToReturnIt() {
        for state in Self.states where state.holdsDevice {
            for event in Self.events {
                guard let next = state.after(event), !next.holdsDevice else { continue }
                let isSleep = state == .ready && event == .sleep
                let isSeen = (state == .stopped && event == .returned) || (state == .quarantined && event == .cleared)
                #expect(isSleep || isSeen, "\(state) lets go with \(event)")
            }
        }
    }

    @Test func everyStateCanEndAndNothingComesOutOfNothing() {
        for state in Self.states where state != .absent {
            var reached: Set<InstanceState> = [state]
            var left = [state]
            while let next = left.popLast() {
                for event in Self.events {
                    guard let after = next.after(event),
                        !{ if case .busy(let count) = after { count > 4 } else { false } }(),
                        reached.insert(after).inserted
                    else { continue }
                    left.append(after)
                }
            }
            #expect(reached.contains(.absent), "\(state) never ends")
        }
        for event in Self.events {
            let next = InstanceState.absent.after(event)
            #expect(next == nil || next == .starting(.fetching) || next == .starting(.forking))
        }
    }
}
