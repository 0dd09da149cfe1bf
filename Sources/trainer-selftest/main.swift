// The trainer's multi-rank tests as one program:
//     mpirun -n N trainer-selftest SCENARIO DIRECTORY [key=value …]
// It prints `key: value` lines on rank 0 and leaves files in DIRECTORY; the tests compare those of several runs.
import Foundation
import Lightning
import TrainerFixtures

func runScenario(_ arguments: [String]) throws {
    guard arguments.count >= 2 else { throw OnPurpose("usage: trainer-selftest SCENARIO DIRECTORY [key=value …]") }
    let options = try Options(Array(arguments.dropFirst(2)), directory: arguments[1])
    switch arguments[0] {
    case "train": try train(options)
    case "fault" where options.kind == "only metric": try trainOneSided(options)
    case "fault": try trainWithFault(options)
    case "comparing": try trainComparing(options)
    case "manual": try trainByHand(options)
    case "control": try control(options)
    case "gather": try gather(options)
    case "without trainer": try useWithoutTrainer(options)
    case "slow rank": try trainSlowly(options)
    case "inference": try prepareForInference(options)
    case "rate": try findRate(options)
    case "steady": try countAllocations(options)
    case "handlers": try keepHandlers(options)
    case "metrics": try trainWithMetrics(options)
    case "stateful": try trainStateful(options)
    case "spike": try trainToASpike(options)
    case "sizes": try findBatchSizes(options)
    case "hints": try showHints(options)
    case "clocks": try validateByTheClock(options)
    case "reducer": try compareReducers()
    default: throw OnPurpose("there is no scenario '\(arguments[0])'")
    }
}

runProgram { try runScenario(Array(CommandLine.arguments.dropFirst())) }
