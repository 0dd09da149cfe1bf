import Foundation
import Tensors
import TestSupport
import Testing

/// Random numbers are functions of their names, and are random.
struct RandomTests {
    @Test func philoxKnownAnswers() {
        // From the file kat_vectors of Random123 (Salmon et al.): philox4x32, 10 rounds.
        func block(_ key: UInt64, _ high: UInt64, _ low: UInt64) -> [UInt32] {
            var stream = RandomStream(key: key, stream: high, position: low)
            return stream.words(4)
        }
        #expect(block(0, 0, 0) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
        #expect(block(.max, .max, .max) == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
        // Counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0: the first word is the lowest.
        #expect(
            block(0x299f_31d0_a409_3822, 0x0370_7344_1319_8a2e, 0x85a3_08d3_243f_6a88)
                == [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1])
    }

    @Test func tensorsAreDrawnFromAUsersOwnStream() {
        RandomContext.$current.withValue(RandomContext(seed: 9)) {
            RandomContext.current.begin(step: 4, shard: 1)
            let (noise, shares) = (Tensor.normals([3, 2], deviation: 2), Tensor.uniforms([1000], in: -1...3))
            var stream = RandomStream(seed: 9, purpose: .user, step: 4, shard: 1)
            #expect(noise.doubles == stream.normals([3, 2], deviation: 2).doubles && noise.shape == [3, 2])
            #expect(shares.doubles == (stream.uniforms([1000], bound: 2) + 1).doubles)
            #expect(shares.doubles.allSatisfy { (-1...3).contains($0) })
            #expect(shares.min().item < -0.9 && shares.max().item > 2.9)
        }
    }

    @Test func manyBlocksAreOneAfterTheOther() {
        var whole = RandomStream(seed: 5, purpose: .user), parts = RandomStream(seed: 5, purpose: .user)
        let words = whole.words(4 * 37)
        #expect((0..<37).flatMap { _ in parts.words(4) } == words)
        #expect(whole.position == 37 && parts.position == 37)
        // A block begun is a block used: positions are whole blocks.
        _ = whole.words(1)
        #expect(whole.position == 38)
    }

    @Test func namesSeparateStreams() {
        var firsts: Set<[UInt32]> = []
        for seed in UInt64(0)..<4 {
            for purpose in [RandomPurpose.initialization, .sampling, .dropout, .augmentation, .user] {
                for step in UInt64(0)..<5 {
                    for shard in UInt64(0)..<5 {
                        var stream = RandomStream(seed: seed, purpose: purpose, step: step, shard: shard)
                        firsts.insert(stream.words(4))
                    }
                }
            }
        }
        #expect(firsts.count == 4 * 5 * 5 * 5)
    }

    @Test func uniformsAndNormalsHaveTheirMoments() {
        var stream = RandomStream(seed: 11, purpose: .user)
        let count = 200_000
        let uniforms = stream.uniforms(count), normals = stream.normals(count)
        #expect(uniforms.allSatisfy { $0 >= 0 && $0 < 1 })
        // Five standard errors of each moment.
        let root = Double(count).squareRoot()
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(count) }
        expectClose([mean(uniforms)], [0.5], relative: 0, absolute: 5 * 0.2887 / root)
        expectClose([mean(uniforms.map { $0 * $0 })], [1.0 / 3], relative: 0, absolute: 5 * 0.2982 / root)
        expectClose([mean(normals)], [0], relative: 0, absolute: 5 / root)
        expectClose([mean(normals.map { $0 * $0 })], [1], relative: 0, absolute: 5 * 1.4142 / root)
        expectClose([mean(normals.map { $0 * $0 * $0 * $0 })], [3], relative: 0, absolute: 5 * 9.8 / root)
        #expect(stream.normals(3).count == 3 && stream.uniforms(0).isEmpty)
    }

    /// The kernel's numbers are the transform's, worked out in double precision from the same words.
    @Test func normalTensorsFollowTheirWords() {
        for count in [1, 2, 3, 4, 255, 256, 257, 100_003] {
            var words = RandomStream(seed: 3, purpose: .user), numbers = words
            let values = numbers.normals([count]).doubles
            let raw = words.words((count + 3) / 4 * 4)
            // Both have gone on by whole blocks.
            #expect(words.position == numbers.position)
            var worst = 0.0
            for i in stride(from: 0, to: count, by: 2) {
                let radius = (-2 * log((Double(raw[i]) + 0.5) * 0x1p-32)).squareRoot()
                let angle = 2 * Double.pi * Double(raw[i + 1]) * 0x1p-32
                worst = max(worst, abs(values[i] - radius * cos(angle)))
                if i + 1 < count { worst = max(worst, abs(values[i + 1] - radius * sin(angle))) }
            }
            // Near u = 1 a radius is only as good as the distance of u from 1.
            #expect(worst < 3e-4, "\(count): \(worst)")
        }
    }

    @Test func normalTensorsAreNormal() {
        var stream = RandomStream(seed: 12, purpose: .user)
        let count = 1 << 20
        let root = Double(count).squareRoot()
        let values = stream.normals([count]).doubles
        func mean(_ value: (Double) -> Double) -> Double { values.reduce(0) { $0 + value($1) } / Double(count) }
        // Five standard errors of each moment, and of the share within each bound.
        expectClose([mean { $0 }], [0], relative: 0, absolute: 5 / root)
        expectClose([mean { $0 * $0 }], [1], relative: 0, absolute: 5 * 1.4142 / root)
        expectClose([mean { $0 * $0 * $0 }], [0], relative: 0, absolute: 5 * 3.873 / root)
        expectClose([mean { $0 * $0 * $0 * $0 }], [3], relative: 0, absolute: 5 * 9.8 / root)
        for bound in stride(from: -4.5, through: 4.5, by: 0.5) {
            let expected = 0.5 * erfc(-bound / 2.0.squareRoot())
            let share = mean { $0 < bound ? 1 : 0 }
            #expect(abs(share - expected) < 5 * (expected * (1 - expected)).squareRoot() / root + 1e-6, "\(bound)")
        }
        // Neighbours, and the two of a pair, have nothing to do with each other.
        for distance in [1, 2, 4, 256] {
            let products = zip(values, values.dropFirst(distance)).reduce(0) { $0 + $1.0 * $1.1 } / Double(count)
            #expect(abs(products) < 5 / root, "\(distance)")
        }
    }

    @Test func uniformTensorsAreTheUniformNumbersStretched() {
        var tensors = RandomStream(seed: 4, purpose: .user), numbers = tensors
        for count in [1, 3, 128, 129, 50_001] {
            let values = tensors.uniforms([count], bound: 0.3).doubles
            #expect(values == numbers.uniforms(count).map { Double(Float((2 * $0 - 1) * 0.3)) })
            #expect(tensors.position == numbers.position)
        }
    }

    @Test func randomTensorsDependOnNoType() {
        var one = RandomStream(seed: 5, purpose: .user), other = one
        let single = one.normals([7, 11], deviation: 0.5),
            double = other.normals([7, 11], deviation: 0.5, dtype: .float64)
        #expect(double.dtype == .float64 && single.shape == [7, 11])
        #expect(single.doubles == double.doubles)
        var scaled = RandomStream(seed: 5, purpose: .user)
        #expect(scaled.normals([7, 11]).doubles.map { $0 / 2 } == single.doubles)
    }

    // See Note [Own process]: the number of threads belongs to the process.
    @Test func randomTensorsDependOnNoThreads() async {
        await #expect(processExitsWith: .success) {
            let draw = {
                var stream = RandomStream(seed: 6, purpose: .user)
                return [stream.normals([300_001]), stream.uniforms([300_001], bound: 2)]
            }
            Parallel.threadCount = 1
            let expected = draw()
            for threads in [2, 3, 7] {
                Parallel.threadCount = threads
                for (actual, reference) in zip(draw(), expected) { expectSameBits(actual, reference, "\(threads)") }
            }
        }
    }

    @Test func permutationsArePermutations() {
        for count in [0, 1, 2, 3, 10, 1000] {
            var stream = RandomStream(seed: 1, purpose: .sampling)
            let order = stream.permutation(count)
            #expect(order.sorted() == Array(0..<count))
            if count == 1000 { #expect(order != Array(0..<count) && stream.permutation(count) != order) }
        }
        // Each of the six orders of three comes up about as often: within five deviations of 1,000 in 6,000.
        var counts: [[Int]: Int] = [:]
        var stream = RandomStream(seed: 2, purpose: .sampling)
        for _ in 0..<6_000 { counts[stream.permutation(3), default: 0] += 1 }
        #expect(counts.count == 6)
        #expect(counts.values.allSatisfy { abs($0 - 1_000) < 145 })
    }

    @Test func contextsKeepTheirPlace() {
        let context = RandomContext(seed: 9), other = RandomContext(seed: 9)
        let first = context.draw(.user) { $0.words(4) }
        let second = context.draw(.user) { $0.words(4) }
        #expect(first != second)
        // Another purpose in between shifts nothing.
        #expect(other.draw(.user) { $0.words(4) } == first)
        _ = other.draw(.dropout) { $0.words(8) }
        #expect(other.draw(.user) { $0.words(4) } == second)
        context.begin(step: 3, shard: 1)
        let dropped = context.draw(.dropout) { $0.words(4) }
        var named = RandomStream(seed: 9, purpose: .dropout, step: 3, shard: 1)
        #expect(dropped == named.words(4))
        context.begin(step: 3, shard: 2)
        #expect(context.draw(.dropout) { $0.words(4) } != dropped)
        context.begin(step: 3, shard: 1)
        #expect(context.draw(.dropout) { $0.words(4) } == dropped)
        // A new step does not restart the streams that run through the whole training.
        #expect(context.draw(.user) { $0.words(4) } != first)
        context.seed = 9
        #expect(context.draw(.user) { $0.words(4) } == first)
        RandomContext.$current.withValue(context) {
            seedEverything(10)
            #expect(context.seed == 10)
        }
    }

    @Test(arguments: [DType.float32, .float64]) func dropoutKeepsTheMean(dtype: DType) {
        RandomContext.$current.withValue(RandomContext(seed: 4)) {
            for probability in [0.1, 0.5, 0.9] {
                let count = 100_003
                let x = Tensor.ones([count], dtype: dtype)
                let y = x.droppedOut(probability)
                let values = y.doubles
                let kept = values.filter { $0 != 0 }
                expectClose(
                    kept, Array(repeating: 1 / (1 - probability), count: kept.count),
                    relative: dtype == .float32 ? 6e-8 : 1e-16)
                // Five deviations of a binomial.
                let deviation = (Double(count) * probability * (1 - probability)).squareRoot()
                #expect(abs(Double(kept.count) - Double(count) * (1 - probability)) < 5 * deviation)
                // Neighbours are independent.
                let pairs = zip(values, values.dropFirst()).count { $0 != 0 && $1 != 0 }
                let expected = Double(count) * (1 - probability) * (1 - probability)
                #expect(abs(Double(pairs) - expected) < 6 * expected.squareRoot())
                #expect(x.droppedOut(probability).doubles != values)
            }
            #expect(Tensor.ones([3]).droppedOut(0).doubles == [1, 1, 1])
        }
    }

    @Test func dropoutIsAFunctionOfStepAndShard() {
        RandomContext.$current.withValue(RandomContext(seed: 4)) {
            let x = Tensor.ones([1_000])
            func mask(_ step: Int, _ shard: Int) -> [Double] {
                RandomContext.current.begin(step: step, shard: shard)
                return x.droppedOut(0.5).doubles
            }
            let first = mask(1, 0)
            #expect(mask(1, 1) != first && mask(2, 0) != first)
            #expect(mask(1, 0) == first)
            // The same elements are dropped whatever the layout and the type.
            RandomContext.current.begin(step: 1, shard: 0)
            let wide = Tensor.ones([100, 10], dtype: .float64).transposed().transposed().droppedOut(0.5)
            #expect(wide.doubles == first)
        }
    }
}
