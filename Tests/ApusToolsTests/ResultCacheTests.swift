import ApusCore
import ApusTools
import Testing

@Suite struct ResultCacheTests {
    private static func result(_ name: String, bytes: Int = 1) -> ResultCache.Result {
        ResultCache.Result(members: [UInt8](repeating: 0x20, count: bytes), invocation: name)
    }

    private static func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func aResultAnswersUntilItsTimeIsOver() {
        var cache = ResultCache()
        cache.keep(Self.result("a"), for: [1], until: Self.at(100))
        #expect(cache.find([1], now: Self.at(99)) == Self.result("a"))
        #expect(cache.find([2], now: Self.at(0)) == nil)
        cache.keep(Self.result("b"), for: [1], until: Self.at(200))
        #expect(cache.find([1], now: Self.at(150)) == Self.result("b"))
        #expect(cache.find([1], now: Self.at(200)) == nil)
        #expect(cache.count == 0 && cache.bytes == 0)
    }

    @Test func theOldestGoWhereThereAreTooMany() {
        var cache = ResultCache(entriesMax: 3)
        for number in UInt8(0)..<100 {
            cache.keep(Self.result("\(number)"), for: [number], until: Self.at(1))
            #expect(cache.count == min(Int(number) + 1, 3))
        }
        #expect((UInt8(0)..<100).filter { cache.find([$0], now: .zero) != nil } == [97, 98, 99])
    }

    @Test func bytesAreBounded() {
        var cache = ResultCache(entriesMax: 100, bytesMax: 800)
        cache.keep(Self.result("", bytes: 99), for: [0], until: Self.at(1))
        cache.keep(Self.result("", bytes: 100), for: [1], until: Self.at(1))
        #expect(cache.find([0], now: .zero) != nil && cache.find([1], now: .zero) == nil)
        for number in UInt8(2)..<50 {
            cache.keep(Self.result("", bytes: 99), for: [number], until: Self.at(1))
            #expect(cache.bytes <= 800)
        }
        #expect(cache.count == 8 && cache.find([49], now: .zero) != nil && cache.find([0], now: .zero) == nil)
    }

    @Test func oneThatIsReplacedOverAndOverTakesNoMoreRoom() {
        var cache = ResultCache(entriesMax: 2)
        for number in 0..<1_000 { cache.keep(Self.result("\(number)"), for: [UInt8(number % 2)], until: Self.at(1)) }
        #expect(cache.count == 2 && cache.bytes == 2 * (1 + 1 + 3))
    }
}
