import TestSupport
import Testing

struct SteadyStateTests {
    /// Promise: a step takes nothing from the system and copies nothing once sizes are known, and gradients are made
    /// where they stay.
    ///
    /// On many ranks it takes one collective, control words included, over all gradients: 64 · 64 + 64 + 10 · 64 + 10
    /// numbers of 4 bytes, the last in whole cache lines.
    @Test(arguments: [0, 1, 2, 3, 4]) func aStepNeitherAllocatesNorCopiesAndCommunicatesOnce(ranks: Int) throws {
        let test = try SelfTest.success("steady", in: try ScratchDirectory(), ranks: ranks)
        func each(_ words: String) -> String { Array(repeating: words, count: max(ranks, 1)).joined(separator: ", ") }
        #expect(test["allocations, copies, copies of gradients"] == each("0 0 0"))
        let bytes = 4 * (64 * 64 + 64 + 10 * 64 + 16)
        #expect(test["collectives and bytes"] == each(ranks == 0 ? "0 0" : "40 \(40 * bytes)"))
    }
}
