internal import ApusCore
// Takes the place of the engine's filter until it is there.
public struct SubscriptionFilter: Sendable { public static let all = SubscriptionFilter()
  func matches(_ layout: EventLayout, in bytes: RawSpan) -> Bool { true }
}
