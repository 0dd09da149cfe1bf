import Foundation
import Lightning

/// Numbers made by a formula of a key and an index, the same as in `Tests/Scripts/make_network_golden.py`.
enum KeyedNumbers {
    /// Words of 53 bits: SplitMix64 from a seed that is the FNV-1a hash of the key.
    static func words(_ key: String, _ count: Int) -> [UInt64] {
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return (0..<count).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return (z ^ (z >> 31)) >> 11
        }
    }

    /// `float64` numbers in −1 ..< 1.
    static func values(_ key: String, _ shape: Shape) -> Tensor {
        Tensor(words(key, shape.elementCount).map { Double($0) * 0x1p-52 - 1 }, shape: shape)
    }

    /// Matrices by their inputs, so that activations keep their size; vectors near 1 (weights) or 0 (biases).
    static func fill(_ network: Module) {
        for (key, parameter) in network.namedParameters {
            let u = values(key, parameter.shape)
            if parameter.shape.count > 1 {
                let inputs = parameter.elementCount / parameter.shape[0]
                parameter.assign((u * (6 / Double(inputs)).squareRoot()).converted(to: parameter.dtype))
            } else {
                parameter.assign((key.hasSuffix("weight") ? 1 + u / 4 : u / 8).converted(to: parameter.dtype))
            }
        }
    }

    /// Sum, norm and four of the elements.
    static func digest(_ tensor: Tensor) -> [Double] {
        let x = tensor.doubles
        let sum: Double = x.reduce(0, +)
        let squares: Double = x.reduce(0) { $0 + $1 * $1 }
        let places = (0..<4).map { (x.count - 1) * $0 / 3 }
        return [sum, squares.squareRoot()] + places.map { x[$0] }
    }
}

/// What PyTorch made of one network.
struct GoldenNetwork: Decodable, Sendable {
    let logits: [Double]
    let loss: Double
    let gradients: [String: [Double]]
    let buffers: [String: [Double]]
    let losses: [Double]

    static let all = Result {
        let folder = Bundle.module.bundleURL.appendingPathComponent("Golden")
        return try JSONDecoder().decode(
            [String: GoldenNetwork].self, from: Data(contentsOf: folder.appendingPathComponent("networks.json")))
    }
}
