import Optimizers
import TestSupport
import Testing

/// Learning rates against `torch.optim.lr_scheduler`.
struct ScheduleTests {
    private static let base = 0.3

    private static var schedules: [(name: String, schedule: any LearningRateSchedule)] {
        [
            ("step", StepSchedule(every: 7, gamma: 0.3)),
            ("step.default", StepSchedule(every: 1)),
            ("multiStep", MultiStepSchedule(milestones: [25, 3, 11, 11], gamma: 0.5)),
            ("exponential", ExponentialSchedule(gamma: 0.93)),
            ("cosine", CosineSchedule(total: 40)),
            ("cosine.floor", CosineSchedule(total: 40, floor: 0.1)),
            ("cosine.warmUp", CosineSchedule(total: 40, warmUp: 5, floor: 0.1)),
            ("lambda", LambdaSchedule { 1 / Double(1 + $0) }),
        ]
    }

    @Test func factors() throws {
        let golden = try GoldenParameters.golden.get()
        let plateaus: Set = ["plateau.min", "plateau.max", "plateau.values"]
        #expect(Set(golden.below("schedule").map(\.name)) == plateaus.union(Self.schedules.map(\.name)))
        for (name, schedule) in Self.schedules {
            let rates = (0...40).map { Self.base * schedule.factor(after: $0) }
            // PyTorch multiplies from step to step, which rounds more often.
            expectClose(rates, try golden("schedule/\(name)").doubles, relative: 1e-13, absolute: 1e-15, name)
        }
    }

    @Test func theEnds() {
        let cosine = CosineSchedule(total: 10, warmUp: 4, floor: 0.2)
        #expect((0..<5).map { cosine.factor(after: $0) } == [0.25, 0.5, 0.75, 1, 1])
        #expect([10, 11, 1000].map { cosine.factor(after: $0) } == [0.2, 0.2, 0.2])
        let long = CosineSchedule(total: 3, warmUp: 8)
        #expect((0..<8).map { long.factor(after: $0) } == (1...8).map { Double($0) / 8 })
        #expect(long.factor(after: 9) == 0)
        #expect(StepSchedule(every: 3).factor(after: 2) == 1)
        #expect(MultiStepSchedule(milestones: []).factor(after: 100) == 1)
    }

    @Test(arguments: [PlateauSchedule.Mode.min, .max]) func plateau(mode: PlateauSchedule.Mode) throws {
        let golden = try GoldenParameters.golden.get()
        let values = try golden("schedule/plateau.values").doubles
        func make() -> PlateauSchedule {
            mode == .min
                ? PlateauSchedule(decay: 0.5, patience: 2)
                : PlateauSchedule(mode: .max, decay: 0.7, patience: 4, threshold: 0.2, floor: 0.1)
        }
        let schedule = make()
        let rates = [Self.base] + values.map { Self.base * schedule.observe($0) }
        let expected = try golden("schedule/plateau.\(mode.rawValue)").doubles
        expectClose(rates, expected, relative: 1e-13, "\(mode)")
        // It falls several times, or the test would say little.
        #expect(Set(expected).count > 4)
        // A state put back anywhere goes on the same.
        for pause in 0..<values.count {
            let (first, second) = (make(), make())
            for value in values[..<pause] { _ = first.observe(value) }
            second.state = first.state
            let rest = values[pause...].map { Self.base * second.observe($0) }
            #expect(rest == Array(rates[(pause + 1)...]))
        }
    }

    @Test func plateauOfUnusualValues() {
        let infinite = PlateauSchedule(decay: 0.5, patience: 0)
        #expect(infinite.observe(.infinity) == 1)
        #expect(infinite.observe(1) == 1)
        #expect(infinite.observe(.nan) == 0.5)
        #expect(infinite.observe(0.5) == 0.5)
        #expect(infinite.state.best == 0.5)
        let never = PlateauSchedule(mode: .max, decay: 0.5, patience: 1)
        #expect((0..<5).map { _ in never.observe(.nan) } == [1, 0.5, 0.5, 0.25, 0.25])
        #expect(never.observe(-.infinity) == 0.25)
        #expect(never.observe(-5) == 0.25)
        #expect(never.state.best == -5)
        // With negative values smaller is still better, and nearer to zero is not.
        let negative = PlateauSchedule(decay: 0.5, patience: 0)
        #expect([-1, -2, -2.0001, -1.9].map { negative.observe($0) } == [1, 1, 0.5, 0.25])
    }
}
