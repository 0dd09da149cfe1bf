import Foundation
import NN
import Tensors
import TestSupport
import Testing

/// What the golden numbers of layers leave open: dropout, bfloat16, positions, and that ways to the same agree.
struct LayerTests {
    @Test func dropout2dDropsWholeChannels() {
        let layer = Dropout2d(0.5)
        let input = Tensor.ones([8, 32, 3, 2])
        let channels = layer(input).reshaped(to: [256, 6])
        let first = channels.select(0, along: 1).doubles
        #expect(Set(first) == [0, 2])
        for column in 1..<6 { #expect(channels.select(column, along: 1).doubles == first) }
        #expect((90...166).contains(first.count { $0 == 0 }))
        layer.evaluate()
        expectSameBits(layer(input), input)
    }

    @Test func positionsAreSinesAndCosines() {
        let zeros = Tensor.zeros([2, 5, 6])
        let own = PositionalEncoding(6, dropout: 0)(zeros),
            length = PositionalEncoding(6, dropout: 0, positions: .length)
        for position in 0..<5 {
            let wanted = (0..<6).map { element in
                let angle = Double(position) / pow(10000, Double(element / 2 * 2) / 6)
                return element % 2 == 0 ? sin(angle) : cos(angle)
            }
            expectClose(own[1][position].doubles, wanted, relative: 1e-6, absolute: 1e-6)
        }
        let longer = PositionalEncoding(6, dropout: 0)(Tensor.zeros([1, 6, 6]))[0][5]
        for position in 0..<5 { expectSameBits(length(zeros)[0][position], longer) }
        #expect(PositionalEncoding(6).stateDictionary.isEmpty)
    }

    /// The fused ways of attention, and the one with all scores in memory.
    @Test func attentionDoesNotDependOnTheWay() {
        let layer = MultiheadAttention(12, heads: 3)
        let x = sampleValues([2, 7, 12], dtype: .float32)
        let future = Tensor.range(7) .> Tensor.range(7).expandingDimension(at: 1)
        let nobody = Tensor.zeros([2, 7], dtype: .uint8)
        let whole = layer(x), causal = layer(x, mask: .causal)
        for other in [
            layer(query: x, key: x, value: x), layer(x, padding: nobody), layer(x, mask: .adding(.zeros([7, 7]))),
        ] {
            expectClose(other, whole, relative: 1e-5, absolute: 1e-6)
        }
        for other in [
            layer(query: x, key: x, value: x, mask: .causal), layer(x, mask: .hiding(future)),
            layer(x, mask: .causal, padding: nobody),
        ] {
            expectClose(other, causal, relative: 1e-5, absolute: 1e-6)
        }
        #expect(whole.doubles != causal.doubles)
    }

    @Test func attentionWeightsAreDroppedInTraining() {
        let layer = MultiheadAttention(12, heads: 3, dropout: 0.5)
        let x = sampleValues([2, 7, 12], dtype: .float32)
        #expect(layer(x).doubles != layer(x).doubles)
        layer.evaluate()
        expectSameBits(layer(x), layer(x))
    }

    @Test func nearestNeighboursAreCopies() {
        let x = sampleValues([1, 2, 2, 3], dtype: .float32)
        let y = Upsample(scale: 2)(x)
        #expect(y.shape == [1, 2, 4, 6])
        for row in 0..<4 {
            for column in 0..<6 {
                expectSameBits(
                    y.select(row, along: 2).select(column, along: 2),
                    x.select(row / 2, along: 2).select(column / 2, along: 2))
            }
        }
    }

    /// Matrices of a transformer are within Glorot's bound and reach near it; biases of attention are 0.
    @Test func initialValuesOfTransformers() throws {
        let model = Transformer(
            TransformerSettings(16, heads: 2, feedForward: 48), encoderLayers: 1, decoderLayers: 1)
        for (key, parameter) in model.namedParameters where parameter.shape.count == 2 {
            let bound = (6 / Double(parameter.shape[0] + parameter.shape[1])).squareRoot()
            let largest = parameter.value.doubles.map(abs).max() ?? 0
            #expect(largest <= bound && largest > 0.9 * bound, "\(key)")
        }
        let state = model.stateDictionary
        let bias = try #require(state["decoder.layers.0.multihead_attn.in_proj_bias"])
        #expect(bias.shape == [48] && bias.doubles.allSatisfy { $0 == 0 })
    }

    private static let images: [String: @Sendable () -> any Layer] = [
        "convTranspose": { ConvTranspose2d(4, 3, kernel: 3, stride: 2) },
        "groupNorm": { GroupNorm(2, 4) },
        "adaptiveAveragePool": { AdaptiveAveragePool2d(3, 2) },
        "upsample": { Upsample(scale: 2, mode: .bilinear()) },
        "elu": { ELU() },
        "mish": { Mish() },
        "hardswish": { Hardswish() },
        "leakyReLU": { LeakyReLU() },
        "prelu": { PReLU(4) },
        "dropout2d": { Dropout2d(0.3) },
    ]

    @Test(arguments: images.keys.sorted()) func bfloat16IsFloat32Rounded(name: String) throws {
        let make = try #require(Self.images[name])
        let layer = make()
        layer.evaluate()
        let rounded = sampleValues([2, 4, 5, 6], dtype: .float32).converted(to: .bfloat16)
        layer.convert(to: .bfloat16)
        let result = layer(rounded)
        #expect(result.dtype == .bfloat16)
        layer.convert(to: .float32)
        expectClose(
            result.converted(to: .float32), layer(rounded.converted(to: .float32)), relative: 0.02, absolute: 0.02)
    }

    @Test func bfloat16Transformers() {
        let model = Transformer(
            TransformerSettings(8, heads: 2, feedForward: 12), encoderLayers: 1, decoderLayers: 1)
        model.convert(to: .bfloat16)
        let x = sampleValues([2, 5, 8], dtype: .float32).converted(to: .bfloat16)
        let padding = Tensor([UInt8(0), 0, 0, 0, 1, 0, 0, 0, 0, 0], shape: [2, 5])
        let result = model(x, x, targetMask: .causal, sourcePadding: padding, memoryPadding: padding)
        #expect(result.dtype == .bfloat16 && result.isFinite)
        result.sum().backward()
        #expect(model.parameters.allSatisfy { $0.gradient?.isFinite ?? false })
    }
}
