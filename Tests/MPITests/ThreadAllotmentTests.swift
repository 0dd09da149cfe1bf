import MPI
import Testing

@Suite struct ThreadAllotmentTests {
    @Test func aloneUsesTheWholeMask() {
        let found = ThreadAllotment.divide(mask: [0xff], among: [[0xff]])
        #expect((found.threads, found.cores, found.sharers) == (8, 8, 1))
        #expect(!found.isOversubscribed)
    }

    @Test func fullySharedMaskIsDivided() {
        let masks: [[UInt64]] = Array(repeating: [0xff], count: 3)
        #expect(ThreadAllotment.divide(mask: masks[0], among: masks).threads == 2)
    }

    @Test func disjointMasksAreNotDivided() {
        let masks: [[UInt64]] = [[0x0f], [0xf0], [0, 0x3]]
        #expect(masks.map { ThreadAllotment.divide(mask: $0, among: masks).threads } == [4, 4, 2])
    }

    @Test func partialOverlapCounts() {
        let masks: [[UInt64]] = [[0b0111], [0b1100], [0b1000]]
        #expect(masks.map { ThreadAllotment.divide(mask: $0, among: masks).sharers } == [2, 3, 2])
    }

    @Test func neverLessThanOne() {
        let masks: [[UInt64]] = Array(repeating: [0b1], count: 4)
        let found = ThreadAllotment.divide(mask: masks[0], among: masks)
        #expect(found.threads == 1)
        #expect(found.isOversubscribed)
        #expect(ThreadAllotment.divide(mask: [], among: []).threads == 1)
    }

    @Test func aQuotaOfProcessorTimeIsShared() {
        let masks: [[UInt64]] = [[0x00ff], [0xff00]]
        let threads = { (quota: Double?) in
            ThreadAllotment.divide(mask: masks[0], among: masks, quota: quota).threads
        }
        #expect([nil, 100, 16, 15.9, 6, 5.9, 2, 0.5].map(threads) == [8, 8, 8, 7, 3, 2, 1, 1])
    }

    @Test func thisProcessHasCores() {
        #expect(ThreadAllotment.single.threads >= 1)
        #expect(ThreadAllotment.single.threads <= ThreadAllotment.single.cores)
    }
}
