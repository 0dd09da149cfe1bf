import TestSupport
import Testing

struct SteadyStateTests {
    /// Promise: a step takes nothing from the system and copies no storage once sizes are known.
    @Test(arguments: [0, 1, 2]) func aStepNeitherAllocatesNorCopies(ranks: Int) throws {
        let test = try SelfTest.success("steady", in: try ScratchDirectory(), ranks: ranks)
        let wanted = Array(repeating: "0 0", count: max(ranks, 1)).joined(separator: ", ")
        #expect(test["allocations and copies"] == wanted)
    }
}
