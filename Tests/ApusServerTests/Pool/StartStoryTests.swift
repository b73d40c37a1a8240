import ApusCore
import ApusEngine
import Testing

@testable import ApusServer

@Suite struct StartStoryTests {
    private static func transition(
        _ from: InstanceState, _ to: InstanceState, _ cause: InstanceTransition.Cause, tier: Tier = .disk,
        at seconds: Int64
    ) -> InstanceTransition {
        InstanceTransition(
            instance: InstanceID(rawValue: 1), function: FunctionID(rawValue: 1), from: from, to: to, tier: tier,
            at: Timestamp(microseconds: seconds * 1_000_000), cause: cause)
    }

    @Test func theFirstStartIsColdBecauseThereWasNone() {
        var story = StartStory()
        story.note(Self.transition(.absent, .starting(.forking), .demand, at: 10), others: 0)
        #expect(story.last?.why.contains("first since the server's start") ?? false)
        #expect(story.last?.took == nil)
        story.note(Self.transition(.starting(.warming), .ready, .progress, at: 14), others: 0)
        #expect(story.last?.took == .seconds(4) && story.last?.tier == .disk)
    }

    @Test(arguments: [
        (InstanceTransition.Cause.idle, "scale.hostIdle"), (.eviction, "make room"), (.rollout, "new revision"),
        (.failure, "it failed"),
    ])
    func aColdStartIsExplainedByHowTheLastInstanceEnded(_ cause: InstanceTransition.Cause, _ word: String) {
        var story = StartStory()
        story.note(Self.transition(.ready, .stopped, cause, at: 10), others: 0)
        story.note(Self.transition(.absent, .starting(.forking), .demand, at: 250), others: 0)
        #expect(story.last?.why.contains(word) ?? false, "\(String(describing: story.last))")
        #expect(story.last?.why.contains("4m before") ?? false, "\(String(describing: story.last))")
    }

    @Test func aWakeIsNoColdStart() {
        var story = StartStory()
        story.note(Self.transition(.sleeping, .starting(.waking), .demand, tier: .host, at: 10), others: 0)
        #expect(story.last?.why.hasPrefix("warm") ?? false)
    }

    @Test func anotherBesideThoseThatWorkSaysSo() {
        var story = StartStory()
        story.note(Self.transition(.absent, .starting(.forking), .demand, at: 10), others: 2)
        #expect(story.last?.why.contains("2 instances were there already") ?? false)
    }
}
