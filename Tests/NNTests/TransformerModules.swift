import NN
import Tensors

private let hidden = Tensor([UInt8(0), 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0], shape: [3, 5])
private let padding = Tensor([UInt8(0), 0, 0, 1, 1, 0, 0, 0, 0, 1], shape: [2, 5])
private let shifts = Tensor((0..<25).map { Float($0 % 7) / 4 - 0.5 }, shape: [5, 5])
private let settings = TransformerSettings(8, heads: 2, feedForward: 12, dropout: 0)

private func attention(
    _ mask: AttentionMask = .none, padding: Tensor? = nil, bias: Bool = true
) -> GoldenModule {
    GoldenModule(pair: {
        let layer = MultiheadAttention(8, heads: 2, bias: bias)
        return (
            layer,
            {
                $0.count == 1
                    ? layer($0[0], mask: mask, padding: padding)
                    : layer(query: $0[0], key: $0[1], value: $0[2], mask: mask, padding: padding)
            }
        )
    })
}

private func encoder(_ settings: TransformerSettings, _ mask: AttentionMask = .none, padding: Tensor? = nil)
    -> GoldenModule
{
    GoldenModule(pair: {
        let layer = TransformerEncoderLayer(settings)
        return (layer, { layer($0[0], mask: mask, padding: padding) })
    })
}

/// The cases of attention between sequences and of transformers.
let transformerModules: [String: GoldenModule] = {
    var gelu = settings
    gelu.activation = .gelu
    gelu.normFirst = true
    gelu.epsilon = 1e-3
    gelu.bias = false
    let first = gelu
    return [
        "multihead": attention(),
        "multihead.causal": attention(.causal),
        "multihead.plain": attention(bias: false),
        "multihead.padded": attention(padding: padding),
        "multihead.padded.causal": attention(.causal, padding: padding),
        "multihead.added": attention(.adding(shifts)),
        "multihead.cross": attention(),
        "multihead.cross.hidden": attention(.hiding(hidden)),
        "multihead.cross.padded": attention(padding: padding),
        "encoderLayer": encoder(settings, .causal),
        "encoderLayer.normFirst": encoder(first, padding: padding),
        "decoderLayer": .init(pair: {
            let layer = TransformerDecoderLayer(settings)
            return (layer, { layer($0[0], memory: $0[1], mask: .causal) })
        }),
        "decoderLayer.normFirst": .init(pair: {
            let layer = TransformerDecoderLayer(first)
            return (layer, { layer($0[0], memory: $0[1], memoryMask: .hiding(hidden), memoryPadding: padding) })
        }),
        "transformerEncoder": .init(pair: {
            let stack = TransformerEncoder(settings, layers: 2, norm: false)
            return (stack, { stack($0[0]) })
        }),
        "fullTransformer": .init(pair: {
            let model = Transformer(settings, encoderLayers: 2, decoderLayers: 1)
            return (
                model,
                { model($0[0], $0[1], targetMask: .causal, sourcePadding: padding, memoryPadding: padding) }
            )
        }),
    ]
}()
